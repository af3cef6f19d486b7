import assert from "node:assert/strict";
import { test } from "node:test";
import { messagesIn } from "../../../../../src/api/http/durable-streams/stream-json.ts";
import { systemClock } from "../../../../../src/lib/time/clock.ts";

const messages = async (text: string): Promise<string[]> =>
  (await messagesIn(Buffer.from(text), systemClock)).map((each) => Buffer.from(each).toString());

test("an array is divided one level deep, and each message stays as it was written", async () => {
  assert.deepEqual(await messages('{"a": 1.0}'), ['{"a": 1.0}']);
  assert.deepEqual(await messages(' [1, "x" ,[2,3], {"b":[]}] \n'), ["1", '"x"', "[2,3]", '{"b":[]}']);
  assert.deepEqual(await messages("[[[1,2]]]"), ["[[1,2]]"]);
  assert.deepEqual(await messages("12345678901234567890.10"), ["12345678901234567890.10"]);
  assert.deepEqual(await messages("[ ]"), []);
  assert.deepEqual(await messages("null"), ["null"]);
});

test("what is not one JSON value is refused", async () => {
  for (const text of [
    "",
    " ",
    "{",
    "[1,]",
    "nul",
    "01",
    '"a',
    "1 2",
    '1,"messages":2',
    '1},{"messages":2',
    "1}",
    "\ufeff1",
    "[1]]",
  ])
    await assert.rejects(messages(text), { kind: "bad-request" }, text);
  await assert.rejects(messagesIn(Buffer.from([0x22, 0xff, 0x22]), systemClock), { kind: "bad-request" });
});

test("depth and number of values are limited", async () => {
  await assert.rejects(messages("[".repeat(200) + "]".repeat(200)), { kind: "bad-request" });
  assert.equal((await messages(`[${"1,".repeat(8_191)}1]`)).length, 8_192);
  await assert.rejects(messages(`[${"1,".repeat(8_192)}1]`), { kind: "too-large" });
  await assert.rejects(messages(`[[${"1,".repeat(5_000)}1]]`), { kind: "too-large" });
});
