/** `tailrace logs` and --log as processes, against a node with a log on disk. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { type ServedNode, serveNode } from "../../support/http/serve-node.ts";
import { bin, ended, environment, startCommand, tailrace } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { until } from "../../support/until.ts";

let node: ServedNode;
let addr: string;
const run = (args: readonly string[], input?: string) =>
  tailrace([...args, "--addr", addr], input === undefined ? {} : { input });
type Json = Record<string, unknown>;

/** Runs a command that must succeed silently, and returns what it prints as JSON. */
async function json(args: readonly string[], input?: string): Promise<Json> {
  const { status, out, err } = await run(args, input);
  assert.deepEqual([status, err], [0, ""], args.join(" "));
  return JSON.parse(out) as Json;
}

before(async () => {
  node = await serveNode();
  addr = `127.0.0.1:${node.served.port}`;
});
after(() => node[Symbol.asyncDispose]());

test("a log is created, changed, listed, closed and deleted", async () => {
  const options = ["--max-bytes", "10GiB", "--content-type", "text/plain"];
  const made = await json(["logs", "create", "fruit/apple", ...options]);
  assert.partialDeepStrictEqual(made, {
    name: "fruit/apple",
    settings: { max_bytes: 10 * 2 ** 30, content_type: "text/plain" },
    lowest_offset: 0,
    next_offset: 0,
    closed: false,
    created: true,
  });
  assert.match(String(made["log_id"]), /^\d+-\d+$/);
  const again = await run(["logs", "create", "fruit/apple"]);
  assert.equal(again.status, 1);
  assert.match(again.err, /^tailrace logs create: there is a log "fruit\/apple"/);
  const same = await json(["logs", "create", "fruit/apple", ...options, "--if-not-exists"]);
  assert.deepEqual([same["log_id"], same["created"]], [made["log_id"], false]);
  await json(["logs", "create", "fruit/pear"]);
  await json(["logs", "create", "grain"]);

  const update = ["logs", "update", "fruit/apple", "--record-bytes-max", "64KiB", "--unset", "max-bytes"];
  assert.deepEqual((await json(update))["settings"], { record_bytes_max: 65536, content_type: "text/plain" });

  const { out } = await run(["logs", "list", "--prefix", "fruit/"]);
  assert.match(out, /^name +id +lowest +next +size +last record +state +settings\n/);
  assert.match(
    out,
    /\nfruit\/apple +\d+-\d+ +0 +0 +0 B +- +open +record-bytes-max=64KiB content-type=text\/plain\n/,
  );
  assert.match(out, /\nfruit\/pear .* open +-\n$/);
  const listed = (await run(["logs", "list", "--json"])).out.trim().split("\n");
  assert.deepEqual(
    listed.map((line) => (JSON.parse(line) as Json)["name"]),
    ["default", "fruit/apple", "fruit/pear", "grain"],
  );
  assert.match((await run(["logs", "list"])).out, /\ndefault +- +0 +\d+ +- +- +open +-\nfruit/);
  const several = await run(["consume", "--log", "fruit/apple,grain"]);
  assert.equal(several.status, 1);
  assert.match(several.err, /To tail several logs: tailrace tail --log fruit\/apple --log grain/);

  assert.equal((await json(["logs", "close", "grain"]))["closed"], true);
  const refused = await run(["produce", "--log", "grain"], "x");
  assert.equal(refused.status, 1);
  assert.match(refused.err, /closed/);

  assert.deepEqual(await json(["logs", "delete", "grain", "--yes"]), { deleted: "grain" });
  const gone = await run(["logs", "delete", "grain", "--yes"]);
  assert.deepEqual([gone.status, gone.out], [1, ""]);
  assert.match(gone.err, /^tailrace logs delete: there is no log "grain"/);
});

test("an update, a close and a delete state the id of the log", async (t) => {
  const made = await json(["logs", "create", "stated"]);
  const change = t.mock.method(node.node.replica.log.named, "change");
  await json(["logs", "update", "stated", "--ttl", "1h"]);
  await json(["logs", "close", "stated"]);
  await json(["logs", "delete", "stated", "--yes"]);
  const stated = change.mock.calls.map(({ arguments: [asked] }) => {
    const { life, id } = "log" in asked ? asked.log : {};
    return [asked.kind, `${life}-${id}`];
  });
  assert.deepEqual(
    stated,
    ["update", "close", "delete"].map((kind) => [kind, made["log_id"]]),
  );
});

test("produce, consume, describe and trim use the log of --log, and default stays as it is", async () => {
  await json(["logs", "create", "orders"]);
  const orders = ["--log", "orders"];
  assert.equal((await run(["produce"], "in default")).out, '{"offset":0}\n');
  assert.equal((await run(["produce", ...orders], "one\ntwo\n")).out, '{"offset":0}\n{"offset":1}\n');
  assert.equal(
    (await run(["produce", ...orders, "--batch", "2"], "three\nfour\n")).out,
    '{"offset":2}\n{"offset":3}\n',
  );
  assert.equal(
    (await run(["consume", ...orders, "--format", "%o %v\\n"])).out,
    "0 one\n1 two\n2 three\n3 four\n",
  );
  assert.equal((await run(["consume", ...orders, "--from", "-1", "--format", "raw"])).out, "four\n");
  assert.equal((await run(["consume", "--log", "default", "--format", "raw"])).out, "in default\n");
  assert.deepEqual(await json(["trim", ...orders, "--before", "2"]), { lowest_offset: 2 });
  const described = await json(["describe", ...orders, "--json"]);
  assert.deepEqual([described["lowest_offset"], described["next_offset"]], [2, 4]);
  const text = (await run(["describe", ...orders])).out;
  assert.match(
    text,
    /^log +"orders" \(id \d+-\d+\), offsets 2 to 4 \(the next\), .* free\nnode +[^\n]*\nstate +open, .*\nsettings -\n$/,
  );
  assert.match((await run(["describe"])).out, /^log +offsets 0 to 1 .*\nnode .*\n\nbase +next/);
});

test("tail prints the records of its log, and ends when the log is closed", async () => {
  await json(["logs", "create", "live"]);
  await run(["produce", "--log", "live"], "old");
  const tail = startCommand(["tail", "--log", "live", "--from", "start", "--format", "raw", "--addr", addr]);
  const end = ended(tail);
  let shown = "";
  tail.stdout?.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
  });
  await until("the tail has printed the old record", () => shown === "old\n");
  await run(["produce"], "in default");
  await run(["produce", "--log", "live"], "new");
  await json(["logs", "close", "live"]);
  const { status, out, err } = await end;
  const closed = 'the log "live" is closed, there are no more records\n';
  assert.deepEqual([status, out, err], [0, "old\nnew\n", closed]);
  const counted = await run(["tail", "--log", "live", "--from", "start", "--count", "1", "--format", "raw"]);
  assert.deepEqual([counted.out, counted.err], ["old\n", ""]);
});

test("consume and tail print a range of a log: the last N, and since and up to a time", async () => {
  for (const name of ["default", "ranges"]) {
    if (name !== "default") await json(["logs", "create", name]);
    const log = ["--log", name];
    const read = async (...args: readonly string[]) => {
      const { status, out, err } = await run([...args, ...log, "--format", "raw"]);
      assert.deepEqual([status, err], [0, ""], args.join(" "));
      return out.split("\n").slice(0, -1);
    };
    const before = await read("consume");
    await run(["produce", ...log], "a\nb\nc\n");
    const all = [...before, "a", "b", "c"];
    assert.deepEqual(await read("tail", "-n", "2"), ["b", "c"]);
    assert.deepEqual(await read("consume", "--ago", "1h"), all);
    if (name === "default") continue;
    assert.deepEqual(await read("tail", "-n", "0"), []);
    assert.deepEqual(await read("tail", "-n", "99"), all, "the log has fewer");
    assert.deepEqual(await read("tail", "-f", "-n", "2", "--count", "2"), ["b", "c"]);
    assert.deepEqual(await read("consume", "--ago", "0"), []);
    assert.deepEqual(await read("consume", "--until", "1h"), []);
    assert.deepEqual(await read("consume", "--ago", "2h", "--until", "2100-01-01T00:00:00Z"), all);
    const [, at = ""] = (await run(["consume", ...log, "--from", "-1", "--format", "%o %t"])).out.split(" ");
    const earlier = all.filter((value) => !["a", "b", "c"].includes(value));
    assert.ok(!(await read("consume", "--until", `@${at}`)).includes("c"), "the time itself is not included");
    assert.deepEqual(
      (await read("consume", "--until", `@${Number(at) + 1}`)).slice(0, earlier.length),
      earlier,
    );
    const far = await run(["consume", ...log, "--from", "99", "--until", "2100-01-01T00:00:00Z"]);
    assert.equal(far.status, 1);
    assert.match(far.err, /^tailrace consume: offset 99 is not in the log/);
  }
});

test("a name without its flag is explained, and describe shows the settings of a log", async () => {
  for (const args of [["tail"], ["consume"], ["describe"], ["bench"], ["trim", "--before", "0"]]) {
    const { status, err } = await run([...args, "orders"]);
    assert.equal(status, 2);
    assert.match(err, new RegExp(`\\(A log is named by a flag: tailrace ${args[0]} --log NAME\\)`));
  }
  const files = await run(["produce", "orders"]);
  assert.match(files.err, /cannot read orders: .*Arguments are files; --log names a log/);
  assert.doesNotMatch((await run(["servers", "orders"])).err, /--log/);
  const past = await run(["logs", "create", "gone", "--expires-at", "2020-01-01T00:00:00Z"]);
  assert.equal(past.status, 1);
  assert.match(
    past.err,
    /^tailrace logs create: expires_at_ms must be later than now: .* \(reason EXPIRED\)\n$/,
  );
  await run(["logs", "create", "it's", "--ttl", "24h"]);
  const again = await run(["logs", "create", "it's", "--ttl", "24h"]);
  assert.match(
    again.err,
    /there is a log "it's" already, with these settings. With if_not_exists \(--if-not-exists\) the request succeeds\n$/,
  );
  const other = await run(["logs", "create", "it's", "--if-not-exists", "--max-bytes", "1KiB"]);
  assert.match(other.err, /other settings: max_bytes is not set, stated was 1024. .* update 'it'\\''s'\n$/);
  const shown = await run(["describe", "--log", "it's"]);
  assert.match(shown.out, /\nstate +open, created 20.*Z, last record -\nsettings ttl=24h\n$/);
});

test("a log that is not there fails every command with the command that creates it", async () => {
  for (const args of [["produce"], ["consume"], ["tail"], ["describe"], ["trim", "--before", "0"]]) {
    const { status, out, err } = await run([...args, "--log", "missing"], "x");
    assert.deepEqual([status, out], [1, ""], args.join(" "));
    assert.match(
      err,
      /^tailrace \w+: there is no log "missing"\. To create it: tailrace logs create 'missing'/,
    );
  }
});

test("a node of a version without named logs, which ignores the name of a log, is asked nothing about default instead", async (t) => {
  const asked: string[] = [];
  const adapter = connectNodeAdapter({
    routes: ({ rpc }) => {
      for (const method of [Log.method.trim, Log.method.describe, Log.method.produce])
        rpc(method, () => {
          asked.push(method.name);
          return {};
        });
    },
  });
  const old = createServer(adapter);
  t.after(() => old.close());
  await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
  const at = `127.0.0.1:${(old.address() as AddressInfo).port}`;
  for (const args of [["describe"], ["trim", "--before", "5"], ["bench", "unary"], ["produce"]]) {
    const { status, err } = await tailrace([...args, "--log", "orders", "--addr", at], { input: "x" });
    assert.equal(status, 1, args.join(" "));
    assert.match(err, /^tailrace \w+: the node at [\d.:]+ has no named logs/);
  }
  assert.deepEqual(asked, []);
  assert.equal((await tailrace(["trim", "--before", "5", "--addr", at])).status, 0);
  assert.deepEqual(asked, ["Trim"]);
});

/** Runs a command on a terminal of its own, types `line` once it asks, and returns the status and what was shown. */
async function onTerminal(args: readonly string[], line: string) {
  const words = [process.execPath, bin, ...args, "--addr", addr].map((word) => `'${word}'`);
  const child = spawn("script", ["-qec", words.join(" "), "/dev/null"], { env: environment() });
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
    if (shown.includes("type its name: ") && child.stdin.writable) child.stdin.end(line);
  });
  const [status] = (await once(child, "close")) as [number];
  return { status, shown };
}

test("delete asks on a terminal, and only the name confirms", requireProgram("script"), async () => {
  await json(["logs", "create", "asked"]);
  await run(["produce", "--log", "asked"], "a\nb\n");
  const refused = await onTerminal(["logs", "delete", "asked"], "yes\n");
  assert.equal(refused.status, 1);
  assert.match(
    refused.shown,
    /log "asked" \(id \d+-\d+\) has 2 records, \d+ B\. To delete it, type its name: /,
  );
  assert.match(refused.shown, /the name was not typed, nothing was deleted/);
  assert.equal((await onTerminal(["logs", "delete", "asked"], "\u0003")).status, 130);
  assert.equal((await json(["describe", "--log", "asked", "--json"]))["next_offset"], 2);
  const done = await onTerminal(["logs", "delete", "asked"], "asked\n");
  assert.equal(done.status, 0);
  assert.match(done.shown, /\{"deleted":"asked"\}/);
  assert.equal((await run(["describe", "--log", "asked"])).status, 1);
});

test("apply creates and updates the logs of a file, a dry run prints the same, and a second time changes nothing", async (t) => {
  const file = join(scratch(t), "logs.yaml");
  const write = (lines: readonly string[]): void => writeFileSync(file, lines.join("\n"));
  write(["logs:", "  applied/a:", "    ttl: 24h", "    max-bytes: 1MiB", "  applied/b:"]);
  const created = [
    '{"name":"applied/a","result":"created","settings":{"max-bytes":"1MiB","ttl":"24h"}}',
    '{"name":"applied/b","result":"created","settings":{}}',
  ];
  const apply = async (...more: readonly string[]) => {
    const { status, out, err } = await run(["logs", "apply", "-f", file, ...more]);
    return { status, err, lines: out.trim().split("\n") };
  };
  assert.deepEqual(await apply("--dry-run"), { status: 0, err: "", lines: created });
  assert.equal((await run(["logs", "list", "--prefix", "applied/", "--json"])).out, "");
  assert.deepEqual(await apply(), { status: 0, err: "", lines: created });
  assert.deepEqual((await apply()).lines, [
    '{"name":"applied/a","result":"unchanged"}',
    '{"name":"applied/b","result":"unchanged"}',
  ]);
  write(["logs:", "  applied/a: {ttl: 1h, max-bytes: null}", "  applied/b:"]);
  assert.deepEqual((await apply()).lines, [
    '{"name":"applied/a","result":"updated","changed":{"max-bytes":{"from":"1MiB","to":null},"ttl":{"from":"24h","to":"1h"}}}',
    '{"name":"applied/b","result":"unchanged"}',
  ]);
  const shown = await run(["logs", "list", "--prefix", "applied/a", "--json"]);
  assert.deepEqual((JSON.parse(shown.out) as Json)["settings"], { ttl_ms: 3_600_000 });
  const piped = await run(["logs", "apply", "-f", "-"], '{"logs":{"applied/c":{"ttl":"1d"}}}');
  assert.equal(piped.out, '{"name":"applied/c","result":"created","settings":{"ttl":"24h"}}\n');
  write(["logs:", "  applied/a:", "    tll: 1h"]);
  const wrong = await apply();
  assert.equal(wrong.status, 2);
  assert.match(
    wrong.err,
    /^tailrace logs apply: .*logs\.yaml line 3: log "applied\/a" has no setting "tll", did you mean ttl\?/,
  );
  assert.equal((await run(["logs", "apply", "-f", `${file}.none`])).status, 2);
  assert.equal(
    (await tailrace(["logs", "apply", "-f", "-", "--addr", "127.0.0.1:1"], { input: "logs: {a: }" })).status,
    3,
  );
});

test("wrong usage sends nothing and ends with 2", async () => {
  for (const args of [
    ["logs"],
    ["logs", "drop", "a"],
    ["logs", "create"],
    ["logs", "create", "a*"],
    ["logs", "create", "default"],
    ["logs", "create", "a", "--max-bytes", "many"],
    ["logs", "update", "a"],
    ["logs", "update", "a", "--unset", "name"],
    ["logs", "update", "a", "--max-bytes", "1", "--unset", "max-bytes"],
    ["logs", "delete", "a"],
    ["consume", "--log", ""],
    ["consume", "--log", "a", "--log", "b"],
    ["produce", "--log", "a", "--log", "b"],
    ["describe", "--log", "a", "--log", "b"],
    ["trim", "--log", "a", "--log", "a", "1"],
    ["consume", "--ago", "1h", "--from", "start"],
    ["consume", "--until", "1h", "--follow"],
    ["tail", "-n", "many"],
    ["produce", "--log", "a//b"],
  ]) {
    const { status, out, err } = await tailrace([...args, "--addr", "127.0.0.1:1"]);
    assert.deepEqual([status, out], [2, ""], `${args.join(" ")}: ${err}`);
  }
  assert.match((await run(["logs", "delete", "a"])).err, /not a terminal; confirm with --yes/);
});

test("help and completion know the commands", async () => {
  const help = await tailrace(["logs", "--help"]);
  for (const command of ["list", "create", "update", "close", "delete"])
    assert.match(help.out, new RegExp(`\\b${command}\\b`));
  const { out } = await tailrace(["completion", "bash"]);
  assert.match(out, /logs\) words="list create update close delete apply .*--prefix.*--yes/);
  assert.match(out, /consume\) words=".*--log /);
});
