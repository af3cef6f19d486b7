import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { heapMapper } from "../../../src/lib/disk/mapped-file.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { GroupBuilder } from "../../../src/log/append/group-builder.ts";
import { batchKind, defaultSettings, encodeSettings, SegmentedLog } from "../../../src/log/mod.ts";
import type { TlsFiles } from "../../../src/server/tls/tls-files.ts";
import { openStableStore } from "../../../src/store/mod.ts";
import { curl } from "../../support/http/curl.ts";
import { run } from "../../support/log/logs.ts";
import { sealGroup } from "../../support/log/seal-group.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import {
  bin,
  ended,
  environment,
  factIn,
  readyLines,
  root,
  startNode,
  tailrace,
} from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

const value = "TGV0J3MgR28gIzEK";
const post = (url: string) => curl(url, { method: "POST", body: `{"record":{"value":"${value}"}}` });

test("a node prints its addresses in one line, takes records, and has them after SIGTERM and SIGKILL", async (t) => {
  const directory = join(scratch(t), "data");
  const first = await startNode(t, ["--data-dir", directory]);
  assert.match(
    first.readyLine,
    /^tailrace ready addr=127\.0\.0\.1:\d+ ops=127\.0\.0\.1:\d+ data=\S+ pid=\d+ url=http:\/\/127\.0\.0\.1:\d+$/,
  );
  assert.match(
    first.nextSteps,
    /^dashboard: http:\/\/127\.0\.0\.1:\d+\/ui\/\nappend: {4}curl --data-binary 'hello' http:\/\/127\.0\.0\.1:\d+\/logs\/default$/,
  );
  assert.equal(first.pid, first.child.pid);
  assert.equal((await post(first.url)).text, '{"offset":0}\n');
  const stopped = await first.kill("SIGTERM");
  assert.equal(stopped.status, 0);

  const second = await startNode(t, ["--data-dir", directory]);
  assert.equal((await post(second.url)).text, '{"offset":1}\n');
  await second.kill("SIGKILL");

  const third = await startNode(t, ["--data-dir", directory]);
  assert.equal((await post(third.url)).text, '{"offset":2}\n');
  for (const offset of [0, 1, 2]) {
    const read = await curl(third.url, { body: `{"offset":${offset}}` });
    assert.equal(read.text, `{"record":{"value":"${value}","offset":${offset}}}\n`);
  }
  const lines = third
    .log()
    .split("\n")
    .filter((line) => line !== "");
  for (const line of lines) assert.equal(typeof (JSON.parse(line) as { level: unknown }).level, "string");
  assert.equal((await third.kill("SIGINT")).status, 0);
});

/** Makes a directory with three records and without vote, configuration and boot number. */
async function writeUnreplicated(directory: string): Promise<void> {
  mkdirSync(join(directory, "meta"), { recursive: true });
  const store = openStableStore(join(directory, "meta"));
  const mapper = heapMapper(systemDisk);
  const newDirectoryId = randomBytes(16);
  const log = SegmentedLog.open({ directory, disk: systemDisk, store, mapper, newDirectoryId });
  const builder = new GroupBuilder(1000);
  builder.addCommand(batchKind.settings, encodeSettings(defaultSettings));
  builder.add(run("a", "b", "c"), undefined, false);
  const { group } = sealGroup(builder, log.end, 1, Date.now());
  log.stageChecked(group);
  log.flushNow();
  log.commitTo(log.end.index);
  log.close();
  store.write({ "cluster-id": "of-old" });
  await store.close();
}

test("a directory of a log without elections opens in place, with its records and its cluster's id", async (t) => {
  const directory = join(scratch(t), "data");
  await writeUnreplicated(directory);
  const node = await startNode(t, ["--data-dir", directory]);
  const described = await tailrace(["describe", "--json", "--addr", node.addr]);
  assert.equal((JSON.parse(described.out) as Record<string, unknown>)["cluster_id"], "of-old");
  assert.equal((await post(node.url)).text, '{"offset":3}\n');
  const consumed = await tailrace(["consume", "--from", "start", "--format", "raw", "--addr", node.addr]);
  assert.match(consumed.out, /^a\nb\nc\n/);
  await node.kill("SIGTERM");
  assert.match((await tailrace(["verify", directory])).out, /^ok records=4 lowest=0 next=4 /m);
});

test("the ops port answers probes, metrics and the version", async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "d")]);
  assert.equal((await curl(`http://${node.ops}/livez`)).status, 200);
  assert.equal((await curl(`http://${node.ops}/readyz`)).status, 200);
  await post(node.url);
  assert.match(
    (await curl(`http://${node.ops}/metrics`)).text,
    /http_server_request_duration_count\{[^}]*POST[^}]*\} 1/,
  );
  assert.equal(typeof (await curl(`http://${node.ops}/version`)).json["version"], "string");
  assert.equal((await curl(`http://${node.ops}/x`)).status, 404);
});

test("a port in use is reported in one line with exit 1, and leaves no directory", async (t) => {
  const directory = join(scratch(t), "data");
  const taken = createServer().listen(0, "127.0.0.1");
  t.after(() => taken.close());
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as AddressInfo;
  const inUse = `127.0.0.1:${port}`;
  for (const flags of [
    ["--addr", inUse],
    ["--addr", "127.0.0.1:0", "--ops-addr", inUse],
    ["--addr", "127.0.0.1:0", "--gossip-addr", inUse],
  ]) {
    const { status, out, err } = await tailrace(["serve", "--data-dir", directory, ...flags]);
    assert.equal(status, 1);
    assert.equal(out, "");
    const flag = flags.at(-2);
    assert.match(
      err,
      new RegExp(
        `^tailrace serve: ${flag} ${inUse} is in use: another process listens on port ${port}\\. To see it: [^\n]*${port}[^\n]* another port with ${flag}; port 0 picks a free one\n$`,
      ),
    );
    assert.equal(existsSync(directory), false);
  }
});

test("a directory that is foreign, in use or not writable is reported in one line with exit 1, and is not changed", async (t) => {
  const directory = scratch(t);
  const serve = (path: string) => tailrace(["serve", "--addr", "127.0.0.1:0", "--data-dir", path]);
  const foreign = join(directory, "foreign");
  mkdirSync(foreign);
  writeFileSync(join(foreign, "letter.txt"), "dear");
  const refused = await serve(foreign);
  assert.equal(refused.status, 1);
  assert.match(refused.err, /^tailrace serve: [^\n]*letter\.txt[^\n]*\n$/);
  assert.deepEqual(readdirSync(foreign), ["letter.txt"]);

  const file = join(directory, "file");
  writeFileSync(file, "");
  const notDirectory = await serve(file);
  assert.equal(notDirectory.status, 1);
  assert.match(notDirectory.err, /^[^\n]*not a directory[^\n]*\n$/);

  const nowhere = await serve("/proc/nowhere/data");
  assert.equal(nowhere.status, 1);
  assert.match(nowhere.err, /^[^\n]+\n$/);

  const data = join(directory, "data");
  await startNode(t, ["--data-dir", data]);
  const second = await serve(data);
  assert.equal(second.status, 1);
  assert.match(second.err, /^[^\n]*in use by process \d+[^\n]*\n$/);
});

test("a damaged directory is reported in one line with file, position and repair command, with exit 5", async (t) => {
  const directory = join(scratch(t), "data");
  const node = await startNode(t, ["--data-dir", directory]);
  for (let n = 0; n < 3; n++) await post(node.url);
  await node.kill("SIGTERM");
  const store = join(directory, "log", "00000000000000000001.store");
  const sound = readFileSync(store);
  const damaged = Uint8Array.from(sound);
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  writeFileSync(store, damaged);
  const serve = ["serve", "--data-dir", directory, "--addr", "127.0.0.1:0"];
  const refusal =
    /^tailrace serve: [^\n]*damaged[^\n]*tailrace repair [^\n]*file [^\n]*position \d+[^\n]*\n$/;
  const bit = await tailrace(serve);
  assert.equal(bit.status, 5);
  assert.match(bit.err, refusal);
  writeFileSync(store, sound);

  // In the value of a key of the stable store, which checks its values itself.
  const meta = join(directory, "meta", "state.db");
  const bytes = readFileSync(meta);
  let found = 0;
  for (let at = bytes.indexOf("cluster-id"); at !== -1; at = bytes.indexOf("cluster-id", at + 1)) {
    const inValue = at + "cluster-id".length + 6;
    bytes[inValue] = (bytes[inValue] ?? 0) ^ 1;
    found++;
  }
  assert.ok(found > 0);
  writeFileSync(meta, bytes);
  const value = await tailrace(serve);
  assert.equal(value.status, 5);
  assert.match(value.err, refusal);
  const verified = await tailrace(["verify", directory]);
  assert.deepEqual([verified.status, verified.out], [5, "meta 0 cluster-id\n"]);
  const repaired = await tailrace(["repair", directory, "--yes"]);
  assert.match(repaired.out, /^meta\/cluster-id 0 forget-value bytes=0\nrepaired next=3 lost=0\n$/);
  const again = await startNode(t, ["--data-dir", directory]);
  assert.equal((await post(again.url)).text, '{"offset":3}\n');
  await again.kill("SIGTERM");

  // Of a database with a damaged header nothing can be read.
  const mangled = readFileSync(meta);
  mangled[16] = (mangled[16] ?? 0) ^ 1;
  writeFileSync(meta, mangled);
  const header = await tailrace(serve);
  assert.equal(header.status, 5);
  assert.match(header.err, refusal);
  const headless = await tailrace(["verify", directory]);
  assert.deepEqual([headless.status, headless.out], [5, "00000000000000000001.store 0 no-catalog\n"]);
  assert.match((await tailrace(["repair", directory, "--yes"])).out, /repaired next=4 lost=0\n$/);
  assert.deepEqual(Uint8Array.from(readFileSync(`${meta}.2.cut`)), Uint8Array.from(mangled));
  const last = await startNode(t, ["--data-dir", directory]);
  assert.equal((await post(last.url)).text, '{"offset":4}\n');
});

test("wrong flags are reported in one line with a suggestion, with exit 2", async () => {
  const { status, err } = await tailrace(["serve", "--data-dri", "x"]);
  assert.equal(status, 2);
  assert.equal(err, "tailrace serve: unknown flag --data-dri, did you mean --data-dir?\n");
  assert.equal((await tailrace(["serve", "--sync", "x"])).status, 2);
  assert.equal((await tailrace(["serve"], { env: { TAILRACE_SYNK: "x" } })).status, 2);
});

test("stopping ends a tail with an error and closes its connection within the shutdown timeout", async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "d"), "--shutdown-timeout", "5s"]);
  await post(node.url);
  const tail = fetch(`${node.url}/tail?from=start`, { headers: { accept: "application/x-ndjson" } });
  const reader = (await tail).body!.getReader();
  assert.match(Buffer.from((await reader.read()).value!).toString(), /"offset":0/);
  const end = node.kill("SIGTERM");
  let rest = "";
  for (let step = await reader.read(); !step.done; step = await reader.read())
    rest += Buffer.from(step.value).toString();
  assert.match(rest, /"error":\{"code":"unavailable"/);
  assert.equal((await end).status, 0);
});

test("npm start stops its node on SIGTERM", requireProgram("npm"), async (t) => {
  const flags = ["--addr", "127.0.0.1:0", "--data-dir", join(scratch(t), "d"), "--log-level", "error"];
  const PATH = `${join(root, "node_modules/.bin")}${delimiter}${process.env["PATH"]}`;
  const npm = spawn("npm", ["start", "--", ...flags], { cwd: root, env: { ...process.env, PATH } });
  const end = ended(npm);
  let out = "";
  await new Promise<void>((resolve) => {
    npm.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes("curl --data-binary")) resolve();
    });
  });
  const pid = Number(/pid=(\d+)/.exec(out)?.[1]);
  assert.ok(pid > 0 && pid !== npm.pid);
  npm.kill("SIGTERM");
  assert.equal((await end).status, 0);
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});

test("a second signal ends the node at once, unless it comes within half a second", async (t) => {
  const node = await startNode(t, ["--data-dir", join(scratch(t), "d"), "--shutdown-timeout", "1h"]);
  const socket = connect(Number(node.addr.split(":")[1]), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{");
  await new Promise((resolve) => socket.once("connect", resolve));
  await curl(`${node.url}/?offset=0`);
  node.child.kill("SIGTERM");
  await until("the node stops", () => node.log().includes('"stopping"'));
  // Two signals within half a second are one Ctrl-C, passed on by npm.
  node.child.kill("SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.equal(node.child.exitCode, null);
  assert.equal((await node.kill("SIGTERM")).status, 1);
  socket.destroy();
});

/** The command as an older Node.js sees it. `ownNode` is the text of the function that finds the package's own. */
function oldCommand(folder: string, ownNode: string): string {
  const bin = readFileSync(new URL("../../../src/cli/bin.cjs", import.meta.url), "utf8");
  const shim = join(folder, "bin.cjs");
  writeFileSync(shim, bin.replace("process.versions.node", '"20.20.2"'));
  writeFileSync(join(folder, "own-node.cjs"), `exports.ownNode = ${ownNode};\n`);
  return shim;
}

test("a wrong version of Node is reported in one line if the package's own is not installed", async (t) => {
  const shim = oldCommand(scratch(t), "() => undefined");
  const old = await ended(spawn(process.execPath, [shim, "serve"]));
  assert.equal(old.status, 1);
  assert.equal(
    old.err,
    "tailrace needs Node.js 24 or newer, this is 20.20.2; its own Node.js is not installed (npm install --include=optional)\n",
  );
});

test("a wrong version of Node runs the command on the package's own, with its arguments, signals and status", async (t) => {
  const folder = scratch(t);
  const own = join(folder, "own-node");
  writeFileSync(
    own,
    `#!/bin/sh\nshift\ntrap "echo stopped; exit 3" TERM\necho "$*"\n[ "$1" = wait ] || exit 7\nwhile :; do sleep 0.1; done\n`,
  );
  chmodSync(own, 0o755);
  const shim = oldCommand(folder, `() => ({ program: ${JSON.stringify(own)} })`);
  const done = await ended(spawn(process.execPath, [shim, "produce", "a b"]));
  assert.deepEqual([done.out, done.err, done.status], ["produce a b\n", "", 7]);
  const waiting = spawn(process.execPath, [shim, "wait"]);
  waiting.stdout.once("data", () => waiting.kill("SIGTERM"));
  const stopped = await ended(waiting);
  assert.deepEqual([stopped.out, stopped.status], ["wait\nstopped\n", 3]);
});

test("a node that an old Node.js started on the package's own stops when that process is killed", async (t) => {
  const folder = scratch(t);
  const own = join(folder, "own-node");
  writeFileSync(own, `#!/bin/sh\nshift\nexec '${process.execPath}' '${bin}' "$@"\n`);
  chmodSync(own, 0o755);
  const shim = oldCommand(folder, `() => ({ program: ${JSON.stringify(own)} })`);
  const node = await startNode(t, ["--data-dir", join(folder, "data")], {}, shim);
  assert.notEqual(node.pid, node.child.pid);
  t.after(() => isGone(node.pid) || process.kill(node.pid, "SIGKILL"));
  await node.kill("SIGKILL");
  await until("the node has stopped", () => isGone(node.pid));
  assert.match(node.log(), /"stopping"/);
});

function isGone(pid: number): boolean {
  try {
    return !process.kill(pid, 0);
  } catch {
    return true;
  }
}

test("a node that npx started stops when the shell of npx ends", async (t) => {
  const words = [process.execPath, bin, "serve", "--addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"];
  // The shell does not replace itself by its last command.
  const line = `${[...words, "--data-dir", join(scratch(t), "data")].map((word) => `'${word}'`).join(" ")}; true`;
  const npm = { npm_lifecycle_event: "npx", npm_lifecycle_script: "'tailrace' serve" };
  const shell = spawn("sh", ["-c", line], { env: { ...environment(), ...npm } });
  let log = "";
  shell.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const [readyLine = ""] = await readyLines(shell);
  const pid = Number(factIn(readyLine, "pid"));
  t.after(() => isGone(pid) || process.kill(pid, "SIGKILL"));
  shell.kill("SIGTERM");
  await until("the node has stopped", () => isGone(pid));
  assert.match(log, /"stopping"/);
});

test("a node with an expired certificate starts only with --allow-expired-certificates", async (t) => {
  const directory = scratch(t);
  const authority = await testAuthority();
  const expired = writeTlsFiles(
    directory,
    "server",
    await authority.client("server", { agoMs: 7_200_000 }),
    authority.issued,
  );
  const flags = ["--data-dir", join(directory, "data"), ...tlsFlags("server-tls", expired)];
  const refused = await tailrace(["serve", "--addr", "127.0.0.1:0", ...flags]);
  assert.equal(refused.status, 1);
  assert.match(
    refused.err,
    /the server certificate expired on .*: renew it, or start with --allow-expired-certificates/,
  );
  const node = await startNode(t, [...flags, "--allow-expired-certificates"]);
  assert.match(node.log(), /certificate has expired/);
  const readyz = await (await fetch(`http://${node.ops}/readyz`)).text();
  assert.match(readyz, /^ok\n\[\+\]certificates ok: the server certificate expired on /);
});

test("a client command reports the problem of its certificates", async (t) => {
  const directory = scratch(t);
  const authority = await testAuthority();
  const other = await testAuthority("Other CA");
  const files = async (name: string, from: typeof authority, agoMs = 0) =>
    writeTlsFiles(directory, name, await from.client("root", { agoMs }), authority.issued);
  const good = await files("good", authority);
  const foreign = await files("foreign", other);
  const expired = await files("expired", authority, 7_200_000);
  const server = writeTlsFiles(directory, "server", await authority.node(), authority.issued);
  const tls = await startNode(t, ["--data-dir", join(directory, "tls"), ...tlsFlags("server-tls", server)]);
  const plain = await startNode(t, ["--data-dir", join(directory, "plain")]);
  const cases: readonly (readonly [node: string, files: typeof good, status: number, message: RegExp])[] = [
    [tls.addr, good, 0, /^$/],
    [tls.addr, expired, 4, /expired\.pem expired on 20/],
    [
      tls.addr,
      { ...good, keyFile: expired.keyFile },
      1,
      /expired-key\.pem is not the private key of .*good\.pem/,
    ],
    [tls.addr, { ...good, caFile: foreign.certFile }, 3, /not signed by the given CA/],
    [tls.addr, { ...good, caFile: good.keyFile }, 1, /good-key\.pem does not contain a PEM certificate/],
    [
      tls.addr,
      foreign,
      1,
      /the node ended or does not trust the client certificate, or another program listens/,
    ],
    [plain.addr, good, 3, /if its port is plaintext/],
  ];
  await Promise.all(
    cases.map(async ([addr, client, status, message]) => {
      const found = await tailrace(["consume", "--addr", addr, ...tlsFlags("tls", client)]);
      assert.match(found.err, message);
      assert.doesNotMatch(found.err, /whether it was written/);
      assert.equal(found.status, status, found.err);
    }),
  );
});

const tlsFlags = (prefix: string, { certFile, keyFile, caFile }: TlsFiles): string[] => [
  ...[`--${prefix}-cert-file`, certFile, `--${prefix}-key-file`, keyFile, `--${prefix}-ca-file`, caFile],
];
