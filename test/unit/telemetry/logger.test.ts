/**
 * The log: JSON lines, levels, redaction, errors, and the pretty format.
 */
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { createLogger, type LoggerOptions } from "../../../src/telemetry/logger.ts";

function sink(): { stream: Writable; text: () => string; lines: () => Record<string, unknown>[] } {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const lines = () =>
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { stream, text: () => text, lines };
}

async function open(options: LoggerOptions = {}) {
  const { stream, text, lines } = sink();
  return { log: await createLogger({ format: "json", destination: stream, ...options }), text, lines };
}

test("a line is one JSON object with level, time, facts and message", async () => {
  const { log, lines } = await open({ facts: { node: "n1" } });
  log.child({ module: "raft" }).info({ term: 3 }, "elected");
  const [line] = lines();
  assert.match(String(line?.["time"]), /^\d{4}-\d\d-\d\dT/);
  delete line?.["time"];
  assert.deepEqual(line, { level: "info", node: "n1", module: "raft", term: 3, msg: "elected" });
});

test("levels below the configured one are not written", async () => {
  const { log, lines } = await open({ level: "warn" });
  log.debug({}, "d");
  log.info({}, "i");
  log.warn({}, "w");
  log.error({}, "e");
  assert.deepEqual(
    lines().map(({ msg }) => msg),
    ["w", "e"],
  );
  assert.equal(log.enabled("info"), false);
  assert.equal(log.enabled("error"), true);
});

test("keys, values and passwords are redacted at any depth, and bytes are replaced by their number", async () => {
  const { log, text } = await open();
  const record = {
    key: "secret-1",
    value: "secret-2",
    headers: [{ key: "k", value: "secret-3" }],
    offset: 7,
    raw: Buffer.from("secret-6"),
  };
  log.info({ record, value: "secret-4", records: [record], password: "secret-5" }, "never do this");
  assert.doesNotMatch(text(), /secret/);
  assert.match(text(), /"offset":7/);
  assert.match(text(), /\[redacted\]/);
  assert.match(text(), /\[8 bytes\]/);
});

test("a fault is logged with its facts and without a stack, another error with its stack", async () => {
  const { log, lines } = await open();
  const cause = new Error("the disk said no");
  log.error({ err: new Fault("disk-failed", { written: "unknown", facts: { path: "x" }, cause }) }, "one");
  log.error({ err: new TypeError("oops") }, "two");
  const [one, two] = lines().map(({ err }) => err as Record<string, unknown>);
  assert.equal(one?.["kind"], "disk-failed");
  assert.equal(one?.["written"], "unknown");
  assert.equal(one?.["path"], "x");
  assert.equal(one?.["stack"], undefined);
  assert.match(JSON.stringify(one?.["cause"]), /the disk said no/);
  assert.equal(two?.["type"], "TypeError");
  assert.match(String(two?.["stack"]), /logger\.test/);
});

test("the log line of any thrown value has a limited length", async () => {
  const { log, lines, text } = await open();
  const long = "x".repeat(100_000);
  const deep = new Error("1", {
    cause: new Error("2", { cause: new Error("3", { cause: new Error("4", { cause: 5 }) }) }),
  });
  const round = new Error("round");
  round.cause = round;
  const gone = new AbortController();
  gone.abort();
  const errors: unknown[] = [
    new Fault("canceled", { cause: gone.signal.reason }),
    new Fault("bad-request", {
      message: long,
      facts: Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`f${at}`, long])),
    }),
    Object.assign(new Error(long), { list: Array(1000).fill(long), code: long }),
    new AggregateError(Array(1000).fill(new Error(long)), long),
    deep,
    round,
    new Error("other", { cause: new Map([["a", long]]) }),
    long,
    Object.assign(new Error("stack"), { stack: long }),
  ];
  for (const err of errors) log.info({ err }, "failed");
  const sizes = text()
    .trimEnd()
    .split("\n")
    .map((line) => line.length);
  assert.ok(Math.max(...sizes) < 12_000, `${sizes}`);
  assert.ok((sizes[0] ?? 0) < 400, `an abort takes ${sizes[0]} characters`);
  const [abort, fault, error] = lines().map(({ err }) => err as Record<string, unknown>);
  assert.deepEqual(abort?.["cause"], { type: "AbortError", message: "This operation was aborted" });
  // A Fault truncates its own text first, at 2,000 characters.
  assert.match(String(fault?.["message"]), /^x{1024}… \(200\d characters\)$/);
  assert.match(String(error?.["message"]), /^x{1024}… \(100000 characters\)$/);
});

test("a system error is logged with its code, and a bug below a fault with its stack", async () => {
  const { log, lines } = await open();
  const refused = Object.assign(new Error("connect ECONNREFUSED"), {
    code: "ECONNREFUSED",
    errno: -111,
    syscall: "connect",
  });
  log.warn({ err: new Fault("unavailable", { cause: refused }) }, "one");
  log.error({ err: Fault.from(new TypeError("oops")) }, "two");
  const [one, two] = lines().map(({ err }) => (err as { cause: Record<string, unknown> }).cause);
  assert.deepEqual(one, {
    type: "Error",
    message: "connect ECONNREFUSED",
    code: "ECONNREFUSED",
    errno: -111,
    syscall: "connect",
  });
  assert.match(String(two?.["stack"]), /TypeError: oops\n.*logger\.test/s);
});

const evil = 'a\n{"level":"fatal"}\u001b[31m\u009b2J\u2028\u202eX\u007f';

/** Logs lines with control characters in every place. */
async function withEvil(format: "json" | "pretty") {
  const { log, text } = await open({ format });
  const fault = new Fault("corrupt", { message: evil, facts: { file: evil, key: "secret" } });
  log.warn({ subject: evil, [evil]: 1, err: fault, list: [{ deep: evil }] }, `said ${evil}`);
  log.child({ peer: evil }).error({ err: new Error(evil, { cause: new Error(evil) }) }, "failed");
  return text();
}

test("control characters from callers are escaped", async () => {
  const json = await withEvil("json");
  assert.equal(json.trimEnd().split("\n").length, 2);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the text must not contain these.
  const interpreted = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/;
  assert.doesNotMatch(json, interpreted);
  assert.match(json, /a\\\\u\{a\}\{\\"level\\":\\"fatal\\"\}\\\\u\{1b\}\[31m\\\\u\{9b\}2J/);
  assert.doesNotMatch(json, /secret/, "the facts of a fault are looked through too");

  const pretty = await withEvil("pretty");
  assert.doesNotMatch(pretty, interpreted);
  const heads = pretty.split("\n").filter((line) => /^\d\d:/.test(line));
  assert.equal(heads.length, 2);
  for (const line of pretty.trimEnd().split("\n"))
    assert.match(line, /^(\d\d:\d\d:\d\d\.\d{3} (WARN|ERROR) | {4})/);
});

test("pretty lines are for people", async () => {
  const { log, text } = await open({ format: "pretty" });
  log.warn({ term: 3, name: "node 1" }, "elected");
  assert.match(text(), /^\d\d:\d\d:\d\d\.\d{3} WARN {2}elected {2}term=3 {2}name="node 1"\n$/);
  assert.throws(() => JSON.parse(text()));
  log.error({ err: new TypeError("oops") }, "failed");
  assert.match(
    text(),
    /ERROR failed {2}err=\{"type":"TypeError","message":"oops"\}\n {4}TypeError: oops\n {8}at /,
  );
});
