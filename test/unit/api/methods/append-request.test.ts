import assert from "node:assert/strict";
import { test } from "node:test";
import { requireRecords } from "../../../../src/api/methods/append-request.ts";
import { encodeRun } from "../../../../src/log/mod.ts";

test("a run without records is refused, a run with an empty record is not", () => {
  assert.throws(() => requireRecords(encodeRun([])), { kind: "bad-request", facts: { field: "records" } });
  requireRecords(encodeRun([{}]));
});
