/**
 * The package as a user installs it: `npm pack` here, `npm i` of the file in an empty folder, from the registry that npm
 * is set to. The Node.js that runs npm is the one on the user's PATH, not that of the repository.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Ended, factIn, readyLines, root } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { lacksRegistry, usersEnvironment, within } from "./registry.ts";

const installMs = 240_000;
const commandMs = 60_000;
const mostBytes = 150e6;
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
  peerDependencies: Record<string, string>;
};

function begin(t: TestContext, folder: string, words: readonly string[], env: Record<string, string> = {}) {
  const [program = "", ...args] = words;
  const child = spawn(program, args, { cwd: folder, env: { ...usersEnvironment(), ...env } });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

/** Runs the command to its end. */
const run = (t: TestContext, folder: string, words: readonly string[], env?: Record<string, string>) =>
  within(begin(t, folder, words, env), words[0] === "npm" ? installMs : commandMs);

/** Packs the package, with its build, and installs it in an empty folder. Returns what npm said. */
async function install(t: TestContext, folder: string): Promise<Ended> {
  const packed = await within(spawn("npm", ["pack", "--pack-destination", folder], { cwd: root }), installMs);
  assert.equal(packed.status, 0, packed.err);
  const installed = await run(t, folder, [
    "npm",
    "i",
    "--loglevel=warn",
    `./tailrace-${manifest.version}.tgz`,
  ]);
  assert.equal(installed.status, 0, installed.err);
  return installed;
}

const typed = `
import { create } from "@bufbuild/protobuf";
import { type Appended, openClient, type TailraceClient } from "tailrace/client";
import { openClient as openInBrowser } from "tailrace/client/browser";
import { type ProduceRequest, ProduceRequestSchema } from "tailrace/gen/log/v1/log_pb";
import { type Server, startServer } from "tailrace/server";

const server: Server = await startServer({ addr: "127.0.0.1:0", "ops-addr": "127.0.0.1:0", "data-dir": "./own" });
await server.ready;
await using client: TailraceClient = openClient({ addrs: [server.addr] });
const done: Appended = await client.producer().send({ value: "typed" });
const request: ProduceRequest = create(ProduceRequestSchema, { record: { value: new TextEncoder().encode("x") } });
const { offset } = await client.rpc.log.produce(request);
await using page: TailraceClient = openInBrowser({ origins: [server.url] });
console.log(done.firstOffset, offset, (await fetch(\`http://\${server.opsAddr}/livez\`)).status);
await client[Symbol.asyncDispose]();
await page[Symbol.asyncDispose]();
await server.stop();
`;

test("npm i of the packed package: small, without warnings about Node, and everything in it works", async (t) => {
  const folder = scratch(t);
  if (await lacksRegistry(t, folder)) return;
  const { err } = await install(t, folder);
  assert.doesNotMatch(err, /EBADENGINE|deprecated/);
  const files = globSync("node_modules/**/*", { cwd: folder }).map((name) => lstatSync(join(folder, name)));
  const bytes = files.filter((file) => file.isFile()).reduce((sum, file) => sum + file.size, 0);
  t.diagnostic(`${(bytes / 1e6).toFixed(1)} MB in ${readdirSync(join(folder, "node_modules"))}`);
  if (process.platform === "linux") assert.ok(bytes <= mostBytes, `${bytes} bytes, at most ${mostBytes}`);
  assert.deepEqual(globSync("node_modules/tailrace/{src/**/*.ts,test,web/src}", { cwd: folder }), []);

  await t.test("npx tailrace serve: append, read, dashboard, metrics", (s) => serves(s, folder));
  await t.test("the client, the server and the generated types in a program", (s) => isTyped(s, folder));
  await t.test("telemetry names the package that it needs, and works when it is installed", (s) =>
    exports(s, folder),
  );
});

async function serves(t: TestContext, folder: string): Promise<void> {
  const flags = ["--addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--data-dir", join(folder, "data")];
  const npx = begin(t, folder, ["npx", "tailrace", "serve", ...flags]);
  const [line = ""] = await readyLines(npx);
  const url = factIn(line, "url");
  const pid = Number(factIn(line, "pid"));
  t.after(() => {
    if (npx.exitCode === null) process.kill(pid, "SIGKILL");
  });
  const text = async (path: string, init?: RequestInit) => (await fetch(`${url}${path}`, init)).text();
  assert.equal(await text("/", { method: "POST", body: '{"record":{"value":"YQ=="}}' }), '{"offset":0}\n');
  assert.equal(await text("/logs/default?offset=0"), '{"record":{"value":"YQ==","offset":0}}\n');
  const page = await text("/ui/");
  const [, script = ""] = /src="([^"]+\.js)"/.exec(page) ?? [];
  assert.equal((await fetch(`${url}${script}`)).status, 200);
  const metrics = await (await fetch(`http://${factIn(line, "ops")}/metrics`)).text();
  assert.match(metrics, /^tailrace_/m);
  const read = await run(t, folder, ["npx", "tailrace", "consume", "--from", "0", "--format", "%o %v\\n"], {
    TAILRACE_ADDR: factIn(line, "addr"),
  });
  assert.deepEqual([read.out, read.status], ["0 a\n", 0], read.err);
  process.kill(pid, "SIGTERM");
  assert.equal((await within(npx, commandMs)).status, 0);
}

async function isTyped(t: TestContext, folder: string): Promise<void> {
  writeFileSync(join(folder, "program.mts"), typed);
  const types = join(folder, "node_modules/@types");
  mkdirSync(types, { recursive: true });
  symlinkSync(join(root, "node_modules/@types/node"), join(types, "node"));
  const options = "--noEmit --strict --module nodenext --target esnext --lib esnext,dom --types node";
  const tsc = [process.execPath, join(root, "node_modules/typescript/bin/tsc"), ...options.split(" ")];
  const checked = await run(t, folder, [...tsc, "program.mts"]);
  assert.deepEqual([checked.out, checked.status], ["", 0]);
  const used = await run(t, folder, ["npx", "node", "program.mts"]);
  assert.deepEqual([used.out, used.status], ["0 1n 200\n", 0], used.err);
  const inBrowser =
    'console.log((await import("tailrace/client")).openClient({ origins: ["http://x"] }) !== null)';
  const words = ["npx", "node", "--conditions=browser", "--input-type=module", "-e", inBrowser];
  assert.equal((await run(t, folder, words)).out, "true\n");
  // The user's Node.js is an older one.
  const inOld = 'console.log(typeof (await import("tailrace/client")).openClient)';
  const old = await run(t, folder, ["node", "--input-type=module", "-e", inOld]);
  assert.equal(old.out, "function\n", old.err);
}

async function exports(t: TestContext, folder: string): Promise<void> {
  const flags = [
    "--addr",
    "127.0.0.1:0",
    "--ops-addr",
    "127.0.0.1:0",
    "--data-dir",
    join(folder, "exporting"),
  ];
  const serve = ["npx", "tailrace", "serve", ...flags];
  const name = "@opentelemetry/sdk-node";
  const command = `npm install ${name}@${manifest.peerDependencies[name]}`;
  const refused = await run(t, folder, [...serve, "--debug-telemetry", "debug"]);
  assert.equal(refused.status, 1);
  assert.ok(
    refused.err.includes(`--debug-telemetry needs a package that is not installed: ${command}\n`),
    refused.err,
  );
  const added = await run(t, folder, [...command.split(" "), "--loglevel=error"]);
  assert.equal(added.status, 0, added.err);
  const node = begin(t, folder, [...serve, "--debug-telemetry", "debug"], {
    OTEL_METRICS_EXPORTER: "console",
    OTEL_METRIC_EXPORT_INTERVAL: "200",
  });
  let out = "";
  const exported = new Promise<number>((resolve) => {
    node.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      const [, pid] = /^tailrace ready .*\bpid=(\d+)/m.exec(out) ?? [];
      if (pid !== undefined && out.includes("dataPoints")) resolve(Number(pid));
    });
  });
  const pid = await Promise.race([exported, within(node, commandMs)]);
  assert.ok(typeof pid === "number", out);
  t.after(() => {
    if (node.exitCode === null) process.kill(pid, "SIGKILL");
  });
  process.kill(pid, "SIGTERM");
  assert.equal((await within(node, commandMs)).status, 0);
}
