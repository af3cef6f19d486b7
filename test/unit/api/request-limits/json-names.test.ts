import assert from "node:assert/strict";
import { test } from "node:test";
import { noTextNames } from "../../../../src/api/request-limits/json-names.ts";
import { ConsumeRequestSchema, ProduceRequestSchema } from "../../../../src/gen/log/v1/log_pb.js";

test("numbers, enums and messages hold no text, in both spellings of their names; strings and bytes do", () => {
  const names = noTextNames(ProduceRequestSchema);
  for (const name of ["record", "headers", "expectedOffset", "expected_offset", "epoch"]) {
    assert.ok(names.has(name), name);
  }
  // "key" is a string in one message and bytes in another.
  for (const name of ["value", "key", "toString"]) assert.ok(!names.has(name), name);
  assert.ok(noTextNames(ConsumeRequestSchema).has("readMode"));
});
