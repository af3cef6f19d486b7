import assert from "node:assert/strict";
import { test } from "node:test";
import { runBytesMax } from "../../../../src/client/limits.ts";
import { validateRun } from "../../../../src/client/produce/validate-run.ts";
import type { RecordRun } from "../../../../src/types.ts";

test("the largest run is valid, a larger one is too large and says by how much", () => {
  const bytes = new Uint8Array(runBytesMax + 1);
  validateRun({ bytes: bytes.subarray(1), count: 1 });
  assert.throws(() => validateRun({ bytes, count: 1 }), {
    kind: "too-large",
    facts: { limit: runBytesMax, found: runBytesMax + 1 },
  });
});

test("what an application in JavaScript can pass by mistake is a bad request, not a TypeError", () => {
  const bytes = new Uint8Array(1);
  const mistakes: unknown[] = [undefined, null, "run", {}, { bytes: [1], count: 1 }, { bytes, count: "1" }];
  for (const mistake of [...mistakes, { bytes, count: 1.5 }, { bytes, count: 0 }]) {
    assert.throws(() => validateRun(mistake as RecordRun), {
      kind: "bad-request",
      facts: { field: "records" },
    });
  }
});
