/** The client commands as processes against a server in the process of the test: formats, order, exit statuses. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import { Fault } from "../../../src/fault.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import {
  bin,
  ended,
  environment,
  isCompiled,
  startCommand,
  tailrace,
} from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

let served: Served;
let addr: string;
const run = (args: readonly string[], input?: string | Uint8Array) =>
  tailrace([...args, "--addr", addr], input === undefined ? {} : { input });

beforeEach(async () => {
  await served?.[Symbol.asyncDispose]();
  served = await serve({ fastPath: createFastPath });
  addr = `127.0.0.1:${served.port}`;
});
after(() => served[Symbol.asyncDispose]());

const tails = (count: number): Promise<boolean> =>
  until(`${count} tails are open`, () => served.log.openTails === count);

test("produce appends one record per line and prints its offset; consume prints the records", async () => {
  const produced = await run(["produce"], "one\ntwo\n\nlast without an end");
  assert.deepEqual([produced.status, produced.err], [0, ""]);
  assert.equal(produced.out, '{"offset":0}\n{"offset":1}\n{"offset":2}\n{"offset":3}\n');
  const raw = await run(["consume", "--format", "raw"]);
  assert.equal(raw.out, "one\ntwo\n\nlast without an end\n");
  const json = await run(["consume", "--from", "1", "--count", "1"]);
  assert.equal(json.out, `{"offset":1,"timestamp_ms":${served.log.nowMs},"value":"dHdv"}\n`);
  const custom = await run(["consume", "--from", "-2", "--format", "%o %s [%v] %t %k%%\\n"]);
  const { nowMs } = served.log;
  assert.equal(custom.out, `2 0 [] ${nowMs} %\n3 19 [last without an end] ${nowMs} %\n`);
  assert.equal((await run(["consume", "--from", "0", "--count", "1", "--format", "hex"])).out, "6f6e65\n");
});

test("a compiled command does not load fetch", {
  skip: isCompiled() ? false : "dist/ is not built",
}, async (t) => {
  const probe = join(scratch(t), "probe.cjs");
  const found = 'process.moduleLoadList.some((name) => name.includes("undici"))';
  writeFileSync(probe, `process.on("exit", () => process.stderr.write(String(${found})));\n`);
  const env = { NODE_OPTIONS: `--require=${probe}` };
  const { status, err } = await tailrace(["consume", "--addr", addr], { env });
  assert.deepEqual([status, err], [0, "false"]);
});

test("thousands of lines keep their order, as single records and in batches", async () => {
  const lines = Array.from({ length: 5000 }, (_, at) => `line ${at}`);
  const single = await run(["produce"], lines.join("\n"));
  assert.equal(single.status, 0);
  assert.equal(single.out, lines.map((_, at) => `{"offset":${at}}\n`).join(""));
  const batches = await run(["produce", "--batch", "640"], lines.join("\n"));
  assert.equal(batches.out, lines.map((_, at) => `{"offset":${5000 + at}}\n`).join(""));
  const calls = served.log.appendCalls.map(({ run: { count } }) => count);
  assert.deepEqual(calls.slice(-8), [...Array(7).fill(640), 520]);
  assert.ok(calls.length < 100, `${calls.length} appends`);
  const quiet = await run(["produce", "--quiet"], "one\ntwo\n");
  assert.deepEqual([quiet.status, quiet.out, quiet.err, served.log.next], [0, "", "", 10_002]);
  const all = await run(["consume", "--format", "raw"]);
  assert.equal(all.out, `${[...lines, ...lines, "one", "two"].join("\n")}\n`);
});

test("produce appends a line when it arrives, and its offset is printed at once", async () => {
  const produce = startCommand(["produce", "--addr", addr]);
  let out = "";
  produce.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  produce.stdin?.write("one\ntw");
  await until("the first line is acknowledged", () => out === '{"offset":0}\n');
  produce.stdin?.write("o\nthree\n");
  await until("all lines are acknowledged", () => out.endsWith('{"offset":2}\n'));
  produce.kill("SIGINT");
  const [status] = (await once(produce, "close")) as [number];
  assert.equal(status, 130);
  assert.equal((await run(["consume", "--format", "raw"])).out, "one\ntwo\nthree\n");
});

test("a failure ends produce while it waits for lines, and says what became of the records", async () => {
  const produce = startCommand(["produce", "--addr", addr]);
  let [out, err] = ["", ""];
  produce.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  produce.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
  produce.stdin?.write("one\ntwo\n");
  await until("two lines are acknowledged", () => out === '{"offset":0}\n{"offset":1}\n');
  served.log.failNext = new Fault("interrupted", { written: "unknown" });
  produce.stdin?.write("three\nfour\nfive\n"); // one write, so one chunk; the input stays open
  const [status] = (await once(produce, "close")) as [number];
  assert.equal(status, 1);
  assert.equal(
    err,
    "tailrace produce: the leader changed before the outcome was known; 2 records were written before; it is not known whether the next 3 were written; none after\n",
  );
  assert.equal(out, '{"offset":0}\n{"offset":1}\n');
});

test("a directory as standard input is refused", async (t) => {
  const directory = openSync(scratch(t), "r");
  t.after(() => closeSync(directory));
  const stdio = [directory, "pipe", "pipe"] as const;
  const refused = await ended(
    spawn(process.execPath, [bin, "produce", "--addr", addr], { env: environment(), stdio: [...stdio] }),
  );
  const message = "tailrace produce: cannot read standard input: it is a directory\n";
  assert.deepEqual([refused.status, refused.out, refused.err], [1, "", message]);
});

test("a line that is too large ends produce after the lines before it", async () => {
  const huge = "x".repeat(4 * 1024 * 1024 + 1);
  const { status, out, err } = await run(["produce"], `one\ntwo\n${huge}\nthree\n`);
  assert.deepEqual([status, out], [1, '{"offset":0}\n{"offset":1}\n']);
  assert.match(err, /a line has more than 4194304 bytes; 2 records were written before, and none after\n$/);
  const refused = await run(["produce"], `one\ntwo\n${"x".repeat(2 * 1024 * 1024)}\nthree\n`);
  assert.deepEqual([refused.status, refused.out], [1, '{"offset":2}\n{"offset":3}\n']);
  assert.match(refused.err, /; 2 records were written before, and none after\n$/);
  const batch = await run(["produce", "--batch", "3"], `${"x".repeat(2 * 1024 * 1024)}\n`.repeat(3));
  assert.deepEqual([batch.status, batch.out], [1, ""]);
  assert.match(batch.err, /3 records are too large for one batch; nothing of it was sent/);
});

test("a file becomes one record with key and headers, whatever its bytes are", async (t) => {
  const path = join(scratch(t), "file");
  const bytes = randomBytes(100_000);
  writeFileSync(path, bytes);
  const { status } = await run(["produce", path, "--key", "k", "--header", "a=b=c", "--header", "n="]);
  assert.equal(status, 0);
  const { out } = await run(["consume"]);
  const record = JSON.parse(out) as Record<string, unknown>;
  assert.ok(Buffer.from(String(record["value"]), "base64").equals(bytes));
  assert.equal(record["key"], "aw==");
  assert.deepEqual(record["headers"], [
    { key: "a", value: "Yj1j" },
    { key: "n", value: "" },
  ]);
});

test("tail prints new records until Ctrl-C with exit status 130; consume --follow with a count ends by itself", async () => {
  await run(["produce"], "old");
  const tail = startCommand(["tail", "--format", "raw", "--addr", addr]);
  const end = ended(tail);
  await tails(1);
  const follow = tailrace([
    "consume",
    "--follow",
    "--from",
    "start",
    "--count",
    "2",
    "--format",
    "raw",
    "--addr",
    addr,
  ]);
  await tails(2);
  await run(["produce"], "new");
  assert.equal((await follow).out, "old\nnew\n");
  tail.kill("SIGINT");
  const { status, out } = await end;
  assert.deepEqual([status, out], [130, "new\n"]);
  await tails(0);
});

test("a closed standard output ends a command silently with 0", async () => {
  await run(["produce", "--batch", "1000"], "x\n".repeat(20_000));
  const consume = startCommand(["consume", "--addr", addr]);
  const end = ended(consume);
  consume.stdout?.once("data", () => consume.stdout?.destroy());
  const { status, err } = await end;
  assert.deepEqual([status, err], [0, ""]);
});

test("help with a closed standard output ends with 0, and a usage error with a closed standard error ends with 2", async () => {
  const help = startCommand(["certs", "--help"]);
  help.stdout?.destroy();
  const { status, err } = await ended(help);
  assert.deepEqual([status, err], [0, ""]);
  const wrong = startCommand(["describe", "--frobnicate"]);
  wrong.stderr?.destroy();
  assert.equal((await ended(wrong)).status, 2);
});

test("a standard output that cannot be written, as on a full disk, ends a command with one line and exit status 1", {
  skip: !existsSync("/dev/full"),
}, async () => {
  for (const args of [["keygen"], ["--help"], ["describe", "--addr", addr]]) {
    const child = spawn("sh", ["-c", 'exec "$0" "$@" >/dev/full', process.execPath, bin, ...args], {
      env: environment(),
    });
    const { status, err } = await ended(child);
    assert.equal(status, 1, args.join(" "));
    assert.match(err, /^tailrace: standard output cannot be written: ENOSPC.*\n$/);
  }
});

test("describe, trim, servers, status and whoami print their results", async () => {
  await run(["produce"], "a\nb\nc");
  assert.match((await run(["describe"])).out, /offsets 0 to 3 \(the next\)/);
  const description = JSON.parse((await run(["describe", "--json"])).out) as Record<string, unknown>;
  assert.deepEqual(
    [description["lowest_offset"], description["next_offset"], description["node_id"]],
    [0, 3, "test"],
  );
  assert.equal((await run(["trim", "--before", "2"])).out, '{"lowest_offset":2}\n');
  assert.match((await run(["servers"])).out, /^id\s+address\s+role.*\ntest\s+127\.0\.0\.1:\d+\s+leader/);
  const [server] = (await run(["servers", "--json"])).out.trim().split("\n");
  assert.deepEqual((JSON.parse(server ?? "") as Record<string, unknown>)["is_leader"], true);
  const status = await run(["status"]);
  assert.equal(status.status, 0);
  const found = JSON.parse(status.out) as Record<string, unknown>;
  assert.deepEqual(
    [found["id"], found["role"], found["leader"], found["ready"]],
    ["test", "leader", "test", true],
  );
  assert.deepEqual(found["voters"], ["test"]);
  served.setReasons(["no leader"]);
  const notReady = await run(["status"]);
  assert.equal(notReady.status, 1);
  assert.match(notReady.err, /not ready: no leader/);
  assert.equal(
    (await run(["whoami"])).out,
    "local: produce, consume, describe, trim, admin, peer, create, delete, configure, cursor\n",
  );
  assert.equal(
    (JSON.parse((await run(["whoami", "--json"])).out) as Record<string, unknown>)["subject"],
    "local",
  );
});

test("a command or flag of another program is answered with the one that does the same", async () => {
  const created = await tailrace(["create", "orders"]);
  assert.equal(created.status, 2);
  assert.equal(
    created.err,
    "tailrace: unknown command 'create'\n(This is tailrace logs create NAME)\n(tailrace --help)\n",
  );
  const since = await tailrace(["consume", "--since=1h"]);
  assert.match(since.err, /unknown option '--since=?1?h?'\n\(This is --ago 1h, .*\)\n/);
  // `cursors list` is the default of `cursors`, so the parser takes the word for an argument of it.
  const reset = await tailrace(["cursors", "reset", "billing"]);
  assert.equal(reset.status, 2);
  assert.match(reset.err, /\n\(This is tailrace cursors move NAME --to OFFSET\)\n/);
  const mistyped = await tailrace(["consume", "--form", "0"]);
  assert.match(mistyped.err, /unknown option '--form'\n\(Did you mean --fro?m?.*\?\)\n/);
});

test("every kind of failure has its exit status and prints one line", async () => {
  const oneLine = /^tailrace [^\n]+\n$/;
  const outside = await run(["consume", "--from", "99"]);
  assert.equal(outside.status, 1);
  assert.match(outside.err, /^tailrace consume: the offset is not in the log \(.*lowest 0.*next 0.*\)\n$/);
  const unreachable = await tailrace(["consume", "--addr", "127.0.0.1:1"]);
  assert.equal(unreachable.status, 3);
  assert.match(unreachable.err, oneLine);
  served.log.failNext = new Fault("permission-denied", { message: "no" });
  assert.equal((await run(["produce"], "x")).status, 4);
  served.log.failNext = new Fault("corrupt");
  assert.equal((await run(["produce"], "x")).status, 5);
  served.log.failNext = new Fault("disk-failed", { written: "unknown" });
  const unknown = await run(["produce"], "x");
  assert.equal(unknown.status, 1);
  assert.match(unknown.err, /not known whether it was written/);
  for (const args of [
    ["consume", "--count", "0"],
    ["produce", "--batch", "x"],
    ["trim", "--before", "-1"],
    ["trim"],
    ["produce", "--header", "nameless"],
    ["consume", "--from", "yesterday"],
    ["consume", "--format", "%z"],
    ["consume", "--addr", "nowhere"],
    ["add", "nowhere"],
    ["nonsense"],
    ["consume", "--nonsense"],
    ["completion", "csh"],
    [],
  ]) {
    const { status, out } = await tailrace(args);
    assert.deepEqual([status, out], [2, ""], args.join(" "));
  }
  assert.match((await tailrace(["produec"])).err, /produce/);
  assert.match((await tailrace(["trim"])).err, /\(tailrace trim --help\)\n$/);
});

test("an input that fails ends produce after the offsets of the records before it", async (t) => {
  const path = join(scratch(t), "file");
  writeFileSync(path, "x");
  const found = await run(["produce", path, `${path}.missing`]);
  assert.deepEqual([found.status, found.out], [1, '{"offset":0}\n']);
  assert.equal(
    found.err,
    `tailrace produce: cannot read ${path}.missing: no such file or directory. Arguments are files; --log names a log\n`,
  );
});

test("help, version and completion need no node", async () => {
  assert.equal((await tailrace(["help", "serve"])).out, (await tailrace(["serve", "--help"])).out);
  const help = await tailrace(["--help"]);
  assert.equal(help.status, 0);
  for (const command of ["serve", "produce", "consume", "config", "certs"])
    assert.match(help.out, new RegExp(`\\b${command}\\b`));
  assert.match((await tailrace(["serve", "--help"])).out, /--segment-store-bytes-max BYTES\s+.*\(64MiB\)/);
  assert.match((await tailrace(["--version"])).out, /^\d+\.\d+\.\d+\n$/);
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await tailrace(["completion", shell]);
    assert.equal(script.status, 0);
    assert.match(script.out, /produce/);
    assert.match(script.out, /--data-dir/);
  }
  const printed = await tailrace(["config", "print", "--sync", "never"]);
  assert.match(printed.out, /^sync: "never" {2}# flag$/m);
  assert.equal((await tailrace(["config", "print", "--snyc", "never"])).status, 2);
});
