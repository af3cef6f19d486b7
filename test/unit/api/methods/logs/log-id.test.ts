import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { logIdText, parseLogId } from "../../../../../src/api/methods/logs/log-id.ts";
import { Fault } from "../../../../../src/fault.ts";

const part = fc.integer({ min: 0, max: 0xffff_ffff });

test("an id that was formatted is parsed again", () => {
  fc.assert(
    fc.property(part, part, (life, id) => {
      assert.deepEqual(parseLogId(logIdText(life, id)), { life, id });
    }),
  );
});

test("anything else is a bad request", () => {
  for (const text of [
    "",
    "1",
    "-1",
    "1-",
    "1-2-3",
    "01-2",
    "1-02",
    " 1-2",
    "1-2\n",
    "a-1",
    "4294967296-1",
    "1-4294967296",
  ])
    assert.throws(
      () => parseLogId(text),
      (thrown) => thrown instanceof Fault && thrown.kind === "bad-request" && thrown.facts.field === "log_id",
      text,
    );
});
