import assert from "node:assert/strict";
import { test } from "node:test";
import { batchRecordsMax, runBytesMax, subjectBytesMax } from "../../../../src/log/mod.ts";
import { checkRun } from "../../../../src/replication/append/check-run.ts";

const ofBytes = (length: number): Uint8Array => new Uint8Array(new ArrayBuffer(length));

test("a run of the largest size and of the most records is accepted, one more is too large", () => {
  checkRun({ bytes: ofBytes(runBytesMax), count: batchRecordsMax }, {});
  for (const [bytes, count] of [
    [runBytesMax + 1, 1],
    [1, batchRecordsMax + 1],
  ] as const) {
    assert.throws(() => checkRun({ bytes: ofBytes(bytes), count }, {}), {
      kind: "too-large",
      facts: { records: count, bytes, recordsMax: batchRecordsMax, bytesMax: runBytesMax },
    });
  }
});

test("a run without records is a bad request", () => {
  assert.throws(() => checkRun({ bytes: ofBytes(0), count: 0 }, {}), { kind: "bad-request" });
});

test("the subject of a producer is limited in bytes, not in characters", () => {
  const run = { bytes: ofBytes(1), count: 1 };
  const by = (subject: string) => ({ producer: { subject, id: 1n, epoch: 0, sequence: 0 } });
  checkRun(run, by("x".repeat(subjectBytesMax)));
  assert.throws(() => checkRun(run, by("é".repeat(subjectBytesMax))), { kind: "too-large" });
  assert.throws(() => checkRun(run, { stream: {}, subject: "é".repeat(subjectBytesMax) }), {
    kind: "too-large",
  });
});

test("only an append that closes a stream has no records, and its command needs room in the batch", () => {
  const none = { bytes: ofBytes(0), count: 0 };
  checkRun(none, { stream: { closes: true } });
  assert.throws(() => checkRun(none, { stream: { order: "1" } }), { kind: "bad-request" });
  assert.throws(() => checkRun({ bytes: ofBytes(runBytesMax), count: 1 }, { stream: {} }), {
    kind: "too-large",
  });
});
