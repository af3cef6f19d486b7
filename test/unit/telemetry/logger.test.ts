/**
 * The log: one JSON line each, levels, secrets struck out, faults without noise, pretty on request.
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
  log.child({ room: "raft" }).info({ term: 3 }, "elected");
  const [line] = lines();
  assert.match(String(line?.["time"]), /^\d{4}-\d\d-\d\dT/);
  delete line?.["time"];
  assert.deepEqual(line, { level: "info", node: "n1", room: "raft", term: 3, msg: "elected" });
});

test("levels below the one asked for are not written", async () => {
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

test("keys, values and passwords are struck out, at any depth, and bytes are told by number", async () => {
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

test("a fault is told by its facts, without a stack; another error with it", async () => {
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

test("pretty lines are for people", async () => {
  const { log, text } = await open({ format: "pretty" });
  log.warn({ term: 3 }, "elected");
  assert.match(text(), /WARN.*elected/);
  assert.match(text(), /term.*3/);
  assert.throws(() => JSON.parse(text()));
});
