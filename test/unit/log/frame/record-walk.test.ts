import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Fault } from "../../../../src/fault.ts";
import { ProduceBatchRequestSchema, RecordSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { encodeFrame } from "../../../../src/log/frame/frame.ts";
import { decodeRecord, encodeRun, RecordCursor } from "../../../../src/log/frame/record.ts";
import { defaultRecordLimits, walkElements, walkRecords } from "../../../../src/log/frame/record-walk.ts";
import type { RecordParts } from "../../../../src/types.ts";

fc.configureGlobal({ seed: 20261121 });

const blob = fc.uint8Array({ maxLength: 200 });
const record = fc.record(
  {
    value: blob,
    key: blob,
    headers: fc.array(
      fc.record({ key: fc.string({ unit: "grapheme" }), value: blob }, { noNullPrototype: true }),
      { maxLength: 3 },
    ),
  },
  { noNullPrototype: true },
);
const runs = fc.array(record, { minLength: 1, maxLength: 5 });
const kind = (expected: string) => (reason: unknown) => reason instanceof Fault && reason.kind === expected;

function parts(bytes: Uint8Array, count: number): Partial<RecordParts>[] {
  const head = { index: 1, term: 4, baseOffset: 10, timestampMs: 5, recordCount: count, kind: 0 as const };
  const cursor = new RecordCursor(encodeFrame(head, bytes, 0));
  const found: Partial<RecordParts>[] = [];
  while (cursor.next()) {
    assert.equal(cursor.offset, 10 + found.length);
    assert.equal(cursor.term, 4);
    assert.equal(cursor.timestampMs, 5);
    const { value, key, headers } = decodeRecord(cursor.frames, cursor.start, cursor.end);
    found.push({
      value: Uint8Array.from(value),
      key: Uint8Array.from(key),
      headers: headers.map((header) => ({ key: header.key, value: Uint8Array.from(header.value) })),
    });
  }
  return found;
}

test("a run that protobuf wrote is stored as it is, without a copy", () => {
  fc.assert(
    fc.property(runs, (records) => {
      const request = toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, { records }));
      const run = walkRecords(request);
      assert.equal(run.count, records.length);
      assert.equal(run.bytes.buffer, request.buffer);
      assert.equal(run.bytes.length, request.length);
      assert.deepEqual(parts(run.bytes, run.count), records);
      assert.deepEqual(parts(encodeRun(records).bytes, records.length), records);
    }),
  );
});

test("offset, term, type, timestamp and unknown fields are removed, the others stay", () => {
  fc.assert(
    fc.property(
      runs,
      fc.nat(),
      fc.nat(15),
      fc.bigInt(1n, 2n ** 64n - 1n),
      (records, type, unknown, large) => {
        const elements = records.map((parts) => {
          const message = create(RecordSchema, {
            ...parts,
            offset: large,
            term: 3n,
            type,
            timestampMs: large,
          });
          const field = (unknown + 8) * 8 + 2;
          const body = Buffer.concat([
            toBinary(RecordSchema, message),
            Uint8Array.of(...(field < 128 ? [field] : [(field & 127) | 128, field >> 7]), 2, 65, 66),
          ]);
          return toBinary(
            ProduceBatchRequestSchema,
            create(ProduceBatchRequestSchema, { records: [fromBinary(RecordSchema, body)] }),
          );
        });
        const run = walkRecords(Buffer.concat(elements));
        assert.deepEqual(Buffer.from(run.bytes), Buffer.from(encodeRun(records).bytes));
      },
    ),
  );
});

test("an empty record is valid, and an unknown field inside a header is removed", () => {
  assert.deepEqual(walkRecords(Uint8Array.of(10, 0)), { bytes: Uint8Array.of(10, 0), count: 1 });
  const header = Uint8Array.of(10, 9, 0x32, 7, 0x0a, 1, 65, 0x18, 5, 0x12, 0);
  assert.deepEqual(walkRecords(header).bytes, Uint8Array.of(10, 7, 0x32, 5, 0x0a, 1, 65, 0x12, 0));
  assert.deepEqual(walkRecords(new Uint8Array(0)).count, 0);
});

const malformed: Readonly<Record<string, readonly number[]>> = {
  "a length that passes the end": [10, 5, 0x0a, 1, 65],
  "an element cut in its length": [10, 0x80],
  "a field that passes its record": [10, 3, 0x0a, 5, 65, 10, 3],
  "a byte that begins no record": [10, 0, 0x12, 0],
  "a group": [10, 2, 0x0b, 0x0c],
  "a group with an unknown number": [10, 2, 0x4b, 0x4c],
  "wire type 6": [10, 2, 0x46, 0],
  "field number 0": [10, 2, 0x02, 0],
  "a value as a varint": [10, 2, 0x08, 1],
  "an offset as bytes": [10, 2, 0x12, 0],
  "a fixed64 that passes the end": [10, 3, 0x41, 0, 0],
  "a fixed32 that passes the end": [10, 3, 0x45, 0, 0],
  "a varint without end": [10, 3, 0x10, 0x80, 0x80],
  "a tag longer than need be": [10, 4, 0x8a, 0x00, 1, 65],
  "a header that is not UTF-8": [10, 5, 0x32, 3, 0x0a, 1, 0xff],
  "a header whose name passes its end": [10, 5, 0x32, 3, 0x0a, 2, 65],
  "a header whose name is a varint": [10, 4, 0x32, 2, 0x08, 1],
  "a header with a group": [10, 4, 0x32, 2, 0x1b, 0x1c],
  "a UTF-8 surrogate": [10, 7, 0x32, 5, 0x0a, 3, 0xed, 0xa0, 0x80],
};
for (const [name, bytes] of Object.entries(malformed)) {
  test(`refused: ${name}`, () => {
    assert.throws(() => walkRecords(Uint8Array.from(bytes)), kind("bad-record"));
  });
}

test("any bytes are refused or become records that protobuf reads", () => {
  const noise = fc.array(
    fc.oneof(fc.constantFrom(10, 0, 1, 2, 3, 4, 5, 0x2a, 0x32, 0x12, 0x80, 0x10, 0x38, 65), fc.nat(255)),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(noise, (bytes) => {
      let run: ReturnType<typeof walkRecords>;
      try {
        run = walkRecords(Uint8Array.from(bytes));
      } catch (fault) {
        assert.ok(fault instanceof Fault && fault.kind === "bad-record");
        return;
      }
      const { records } = fromBinary(ProduceBatchRequestSchema, run.bytes);
      assert.equal(records.length, run.count);
      const ours = run.count === 0 ? [] : parts(run.bytes, run.count);
      assert.deepEqual(
        ours.map(({ value, key }) => [value, key]),
        records.map(({ value, key }) => [Uint8Array.from(value), Uint8Array.from(key)]),
      );
      for (const { offset, term, type, timestampMs } of records) {
        assert.deepEqual([offset, term, type, timestampMs], [0n, 0n, 0, 0n]);
      }
    }),
    { numRuns: 3000 },
  );
});

test("the size of a record and the number of records are limited", () => {
  const run = encodeRun([{ value: new Uint8Array(10) }, { value: new Uint8Array(10) }]);
  assert.equal(walkRecords(run.bytes, { recordBytesMax: 12, recordsMax: 2 }).count, 2);
  assert.throws(() => walkRecords(run.bytes, { recordBytesMax: 11, recordsMax: 2 }), kind("too-large"));
  assert.throws(() => walkRecords(run.bytes, { recordBytesMax: 12, recordsMax: 1 }), kind("too-large"));
});

test("a walk stops at the first byte that is not an element, and returns its position", () => {
  const run = encodeRun([{ value: Uint8Array.of(1) }]);
  const walk = { end: 0, count: 0, asIs: false };
  walkElements(Uint8Array.of(...run.bytes, 0x12, 0), 0, run.bytes.length + 2, defaultRecordLimits, walk);
  assert.deepEqual(walk, { end: run.bytes.length, count: 1, asIs: true });
});

test("a cursor starts at an offset inside a batch and skips frames without records", () => {
  const records = encodeRun([{ value: Uint8Array.of(1) }, { value: Uint8Array.of(2) }]);
  const head = { index: 1, term: 1, baseOffset: 4, timestampMs: 0, recordCount: 2, kind: 0 as const };
  const frames = Buffer.concat([
    encodeFrame(head, records.bytes, 0),
    encodeFrame({ ...head, index: 2, baseOffset: 6, recordCount: 0, kind: 1 }, new Uint8Array(0), 0),
    encodeFrame({ ...head, index: 3, baseOffset: 6 }, records.bytes, 0),
  ]);
  const cursor = new RecordCursor(frames, 5);
  const offsets: number[] = [];
  while (cursor.next()) offsets.push(cursor.offset);
  assert.deepEqual(offsets, [5, 6, 7]);
});

test("a record with only a value is valid with a length of any size, and not with one byte more or less", () => {
  const varint = (value: number): number[] =>
    value < 0x80
      ? [value]
      : value < 0x4000
        ? [(value & 0x7f) | 0x80, value >> 7]
        : [(value & 0x7f) | 0x80, ((value >> 7) & 0x7f) | 0x80, value >> 14];
  const run = (length: number, claimed: number): Uint8Array => {
    const body = [0x0a, ...varint(claimed), ...new Array<number>(length).fill(0x7f)];
    return Uint8Array.from([0x0a, ...varint(body.length), ...body]);
  };
  for (const length of [0, 1, 2, 126, 127, 128, 129, 255, 16_380, 16_383, 16_384, 16_390]) {
    const bytes = run(length, length);
    const walked = walkRecords(bytes, defaultRecordLimits);
    assert.deepEqual([walked.count, walked.bytes], [1, bytes]);
    assert.throws(() => walkRecords(run(length, length + 1), defaultRecordLimits), kind("bad-record"));
    // What is left behind a value that is too short is a field of number 15.
    if (length > 0) {
      assert.throws(() => walkRecords(run(length, length - 1), defaultRecordLimits), kind("bad-record"));
    }
  }
  // Two records, of which the first ends inside the second.
  const cut = Uint8Array.from([0x0a, 3, 0x0a, 2, 1, 0x0a, 3, 0x0a, 1, 1]);
  assert.throws(() => walkRecords(cut, defaultRecordLimits), kind("bad-record"));
});
