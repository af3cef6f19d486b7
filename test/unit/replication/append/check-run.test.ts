import assert from "node:assert/strict";
import { test } from "node:test";
import { batchRecordsMax, runBytesMax, subjectBytesMax } from "../../../../src/log/mod.ts";
import { checkRun } from "../../../../src/replication/append/check-run.ts";

const ofBytes = (length: number): Uint8Array => new Uint8Array(new ArrayBuffer(length));

test("a run of the largest size and of the most records is accepted, one more is too large", () => {
  checkRun({ bytes: ofBytes(runBytesMax), count: batchRecordsMax }, undefined);
  for (const [bytes, count] of [
    [runBytesMax + 1, 1],
    [1, batchRecordsMax + 1],
  ] as const) {
    assert.throws(() => checkRun({ bytes: ofBytes(bytes), count }, undefined), {
      kind: "too-large",
      facts: { records: count, bytes, recordsMax: batchRecordsMax, bytesMax: runBytesMax },
    });
  }
});

test("a run without records is a bad request", () => {
  assert.throws(() => checkRun({ bytes: ofBytes(0), count: 0 }, undefined), { kind: "bad-request" });
});

test("the subject of a producer is limited in bytes, not in characters", () => {
  const run = { bytes: ofBytes(1), count: 1 };
  checkRun(run, "x".repeat(subjectBytesMax));
  assert.throws(() => checkRun(run, "é".repeat(subjectBytesMax)), { kind: "too-large" });
});
