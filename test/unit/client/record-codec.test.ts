import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeRun, type NewRecord, recordsOf } from "../../../src/client/mod.ts";
import { batchKind, encodeRun as encodeByLog, encodeFrame, walkRecords } from "../../../src/log/mod.ts";

const bytes = fc.uint8Array({ maxLength: 300 });
const header = fc.record({ key: fc.string({ unit: "grapheme", maxLength: 20 }), value: bytes });
const record = fc.record(
  { value: bytes, key: bytes, headers: fc.array(header, { maxLength: 3 }) },
  { requiredKeys: [] },
);
const records = fc.array(record, { minLength: 1, maxLength: 8 });

test("a run has the same bytes as the log module's encoding of the records, and passes its checks", () => {
  fc.assert(
    fc.property(records, (some) => {
      const run = encodeRun(some);
      assert.deepEqual(run, encodeByLog(some));
      assert.equal(walkRecords(run.bytes, { recordBytesMax: 1e6, recordsMax: 100 }).count, some.length);
    }),
    { seed: 7 },
  );
});

test("text is sent as UTF-8, and a byte order mark in the name of a header is kept", () => {
  const name = "\ufeffname";
  const run = encodeRun([{ value: "größe", key: "k", headers: [{ key: name, value: "v" }] }]);
  const [read] = [...recordsOf(sliceOf(run.bytes, 1, 5))];
  assert.equal(Buffer.from(read!.value).toString(), "größe");
  assert.equal(Buffer.from(read!.key).toString(), "k");
  assert.equal(read!.headers[0]!.key, name);
});

test("records of several frames are read from any offset, with offset, term and time", () => {
  fc.assert(
    fc.property(fc.array(records, { minLength: 1, maxLength: 4 }), fc.nat(40), (batches, from) => {
      const parts: Uint8Array[] = [];
      const expected: { offset: number; record: NewRecord }[] = [];
      let next = 3;
      for (const batch of batches) {
        const { frames } = sliceOf(encodeRun(batch).bytes, batch.length, next);
        parts.push(frames);
        for (const one of batch) expected.push({ offset: next++, record: one });
      }
      const slice = { frames: Buffer.concat(parts), firstOffset: 3, nextOffset: next };
      const read = [...recordsOf(slice, from)];
      assert.deepEqual(
        read.map(({ offset }) => offset),
        expected.map(({ offset }) => offset).filter((offset) => offset >= from),
      );
      for (const one of read) {
        assert.equal(one.term, 9);
        assert.equal(one.timestampMs, 1_700_000_000_123);
        const { record: wanted } = expected.find(({ offset }) => offset === one.offset)!;
        assert.deepEqual(Buffer.from(one.value), Buffer.from((wanted.value ?? []) as Uint8Array));
        assert.deepEqual(Buffer.from(one.key), Buffer.from((wanted.key ?? []) as Uint8Array));
        assert.deepEqual(
          one.headers.map(({ key }) => key),
          ((wanted.headers as readonly { key: string }[] | undefined) ?? []).map(({ key }) => key),
        );
      }
    }),
    { seed: 7 },
  );
});

function sliceOf(
  run: Uint8Array,
  count: number,
  baseOffset: number,
): { frames: Uint8Array; firstOffset: number; nextOffset: number } {
  const frames = encodeFrame(
    {
      index: 4,
      term: 9,
      baseOffset,
      timestampMs: 1_700_000_000_123,
      recordCount: count,
      kind: batchKind.data,
    },
    run,
    77,
    { subject: "s", id: 2n ** 60n, epoch: 1, sequence: 0 },
  );
  return { frames, firstOffset: baseOffset, nextOffset: baseOffset + count };
}
