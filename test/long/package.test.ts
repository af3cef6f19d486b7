/**
 * The package as users get it: packed, unpacked below a node_modules that has only its dependencies, and run. Also the rule
 * that the repository runs compiled code only if it was compiled from the present sources.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { ended, root, startNode } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";

const { version: current } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
};

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>;
}

/** Packs the package and lays it out like `npm install`: with dependencies, without development dependencies. */
async function install(t: TestContext): Promise<{ readonly app: string; readonly bin: string }> {
  const folder = scratch(t);
  const packed = await ended(spawn("npm", ["pack", "--pack-destination", folder, "--json"], { cwd: root }));
  assert.equal(packed.status, 0, packed.err);
  const app = join(folder, "app");
  const place = join(app, "node_modules/tailrace");
  mkdirSync(place, { recursive: true });
  const tarball = join(folder, `tailrace-${current}.tgz`);
  const unpacked = await ended(spawn("tar", ["-xzf", tarball, "-C", place, "--strip-components=1"]));
  assert.equal(unpacked.status, 0, unpacked.err);
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
  for (const [path, { dev }] of Object.entries(packages)) {
    const [, name, inner] = /^node_modules\/((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(path) ?? [];
    if (name === undefined || inner !== undefined || dev || !existsSync(join(root, path))) continue;
    mkdirSync(dirname(join(app, path)), { recursive: true });
    symlinkSync(join(root, path), join(app, path));
  }
  return { app, bin: join(place, "src/cli/bin.cjs") };
}

const program = `
import { type Appended, openClient } from "tailrace/client";
await using client = openClient({ addrs: [process.env["ADDR"] ?? ""] });
const done: Appended = await client.producer().send({ value: "from a package" });
for await (const { value } of client.consume({ from: { offset: done.firstOffset }, until: "end" })) {
  console.log(done.firstOffset, new TextDecoder().decode(value));
}
`;

test("the packed package serves and has a command line and a typed client, without its sources", async (t) => {
  const { app, bin } = await install(t);
  assert.ok(!existsSync(join(dirname(bin), "main.ts")));
  assert.ok(!existsSync(join(app, "node_modules/tsx")));
  const run = (words: readonly string[], env: Record<string, string> = {}) =>
    ended(spawn(process.execPath, words, { cwd: app, env: { ...process.env, ...env } }));
  const version = await run([bin, "--version"]);
  assert.deepEqual([version.out, version.err, version.status], [`${current}\n`, "", 0]);
  const node = await startNode(t, ["--data-dir", join(app, "data")], {}, bin);
  const posted = await fetch(node.url, { method: "POST", body: '{"record":{"value":"YQ=="}}' });
  assert.equal(await posted.text(), '{"offset":0}\n');
  const page = await fetch(`${node.url}/ui/`, { headers: { accept: "text/html" } });
  assert.equal(page.status, 200);
  assert.match(await (await fetch(`${node.url}/docs/`)).text(), /<h1 id="tailrace-handbook">/);
  const consumed = await run([bin, "consume", "--from", "start", "--format", "%o %v\\n"], {
    TAILRACE_ADDR: node.addr,
  });
  assert.deepEqual([consumed.out, consumed.err, consumed.status], ["0 a\n", "", 0]);
  writeFileSync(join(app, "package.json"), '{"type":"module"}');
  writeFileSync(join(app, "program.ts"), program);
  const used = await run(["program.ts"], { ADDR: node.addr });
  assert.deepEqual([used.out, used.err, used.status], ["1 from a package\n", "", 0]);
  const flags = "--noEmit --strict --module nodenext --target esnext --lib esnext,dom --types node".split(
    " ",
  );
  if (!existsSync(join(app, "node_modules/@types/node"))) {
    mkdirSync(join(app, "node_modules/@types"), { recursive: true });
    symlinkSync(join(root, "node_modules/@types/node"), join(app, "node_modules/@types/node"));
  }
  const typed = await run([join(root, "node_modules/typescript/bin/tsc"), ...flags, "program.ts"]);
  assert.deepEqual([typed.out, typed.status], ["", 0]);
  assert.equal((await node.kill("SIGTERM")).status, 0);
});

test("the repository runs compiled code only if it was compiled from the present sources", async (t) => {
  const copy = scratch(t);
  for (const name of ["src", "package.json", "package-lock.json", "tsconfig.json"]) {
    cpSync(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const bin = join(copy, "src/cli/bin.cjs");
  const version = async () => (await ended(spawn(process.execPath, [bin, "--version"]))).out;
  assert.equal(await version(), `${current}\n`);
  const built = await ended(spawn(process.execPath, [join(copy, "src/build.mjs")]));
  assert.deepEqual([built.err, built.status], ["", 0]);
  const main = join(copy, "dist/cli/main.js");
  writeFileSync(main, `console.log("compiled");\n${readFileSync(main, "utf8")}`);
  assert.equal(await version(), `compiled\n${current}\n`);
  appendFileSync(join(copy, "src/api/http/http-tail.ts"), "\n");
  assert.equal(await version(), `${current}\n`);
});
