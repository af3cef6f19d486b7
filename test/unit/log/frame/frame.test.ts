import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { RecordBatchSchema, RecordSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { writeU32le, writeU64le } from "../../../../src/lib/bytes.ts";
import { crc32 } from "../../../../src/lib/checksum.ts";
import * as frames from "../../../../src/log/frame/frame.ts";
import { encodeRun } from "../../../../src/log/frame/record.ts";
import type { ProducerStamp } from "../../../../src/types.ts";

fc.configureGlobal({ seed: 20261121 });

const safe = fc.maxSafeNat().map((value) => Math.floor(value / 2));
const header = fc.record(
  {
    index: safe,
    term: fc.nat(0xffffffff),
    baseOffset: safe,
    timestampMs: safe,
    recordCount: fc.nat(20).map((count) => count + 1),
    kind: fc.constant(frames.batchKind.data),
    logId: fc.nat(0xffffffff),
  },
  { noNullPrototype: true },
);
const producer = fc.record(
  {
    subject: fc.string({ maxLength: 60, unit: "grapheme" }).filter((text) => Buffer.byteLength(text) <= 255),
    id: fc.bigInt(0n, 2n ** 64n - 1n),
    epoch: fc.nat(0xffffffff),
    sequence: safe,
  },
  { noNullPrototype: true },
);
const run = encodeRun([{ value: Buffer.from("one"), key: Buffer.from("k") }, { value: Buffer.from("two") }]);

test("a frame is a gRPC message that protobuf reads as RecordBatch", () => {
  fc.assert(
    fc.property(
      header,
      fc.option(producer, { nil: undefined }),
      fc.nat(0xffffffff),
      (head, who, previous) => {
        const frame = frames.encodeFrame(head, run.bytes, previous, who);
        assert.equal(frames.frameBytes(frame, 0), frame.length);
        const batch = fromBinary(RecordBatchSchema, frame.subarray(frames.prefixBytes));
        assert.equal(batch.index, BigInt(head.index));
        assert.equal(batch.term, BigInt(head.term));
        assert.equal(batch.baseOffset, BigInt(head.baseOffset));
        assert.equal(batch.timestampMs, BigInt(head.timestampMs));
        assert.equal(batch.recordCount, head.recordCount);
        assert.equal(batch.previousCrc32, previous);
        assert.equal(batch.crc32, frames.frameCrc(frame, 0));
        assert.equal(batch.producerId, who?.id);
        assert.equal(batch.producerEpoch, who?.epoch ?? 0);
        assert.equal(batch.producerSubject, who?.subject ?? "");
        assert.deepEqual(
          batch.records.map(({ value }) => Buffer.from(value).toString()),
          ["one", "two"],
        );
      },
    ),
  );
});

test("the accessors return what was written, at any position of a buffer", () => {
  fc.assert(
    fc.property(header, fc.option(producer, { nil: undefined }), fc.nat(50), (head, who, at) => {
      const frame = frames.encodeFrame(head, run.bytes, 77, who);
      const buffer = new Uint8Array(at + frame.length + 9);
      buffer.set(frame, at);
      assert.equal(frames.checkFrame(buffer, at, buffer.length), undefined);
      assert.deepEqual(frames.frameHeader(buffer, at), head);
      assert.equal(frames.framePreviousCrc(buffer, at), 77);
      assert.deepEqual(frames.frameProducer(buffer, at), who as ProducerStamp | undefined);
      assert.equal(frames.framePayload(buffer, at) - at, frame.length - run.bytes.length);
      assert.equal(frames.headBytes(who), frame.length - run.bytes.length);
    }),
  );
});

test("a command is decoded as it was encoded, also by protobuf", () => {
  const trim = {
    index: 3,
    term: 1,
    baseOffset: 9,
    timestampMs: 5,
    recordCount: 0,
    kind: frames.batchKind.trim,
  };
  const frame = frames.encodeFrame(trim, Uint8Array.of(8, 7), 1);
  assert.equal(frames.checkFrame(frame, 0, frame.length), undefined);
  assert.deepEqual(frames.frameCommand(frame, 0), Uint8Array.of(8, 7));
  const batch = fromBinary(RecordBatchSchema, frame.subarray(5));
  assert.deepEqual(Uint8Array.from(batch.command), Uint8Array.of(8, 7));
  assert.equal(batch.kind, 3);
  const noOp = frames.encodeFrame({ ...trim, kind: frames.batchKind.noOp }, new Uint8Array(0), 1);
  assert.equal(frames.checkFrame(noOp, 0, noOp.length), undefined);
  assert.equal(frames.frameCommand(noOp, 0).length, 0);
});

test("every flipped bit and every missing byte of a frame is found", () => {
  const who = { subject: "s", id: 1n, epoch: 2, sequence: 3 };
  const head = {
    index: 1,
    term: 1,
    baseOffset: 0,
    timestampMs: 5,
    recordCount: 2,
    kind: frames.batchKind.data,
  };
  const frame = frames.encodeFrame(head, run.bytes, 0, who);
  for (let bit = 0; bit < frame.length * 8; bit++) {
    frame[bit >> 3]! ^= 1 << (bit & 7);
    assert.notEqual(frames.checkFrame(frame, 0, frame.length), undefined, `bit ${bit}`);
    frame[bit >> 3]! ^= 1 << (bit & 7);
  }
  for (let end = 0; end < frame.length; end++) assert.equal(frames.checkFrame(frame, 0, end), "short");
});

test("a frame with a right checksum and wrong fields is refused", () => {
  const head = {
    index: 1,
    term: 1,
    baseOffset: 0,
    timestampMs: 5,
    recordCount: 2,
    kind: frames.batchKind.data,
  };
  const flaw = (changed: Partial<frames.BatchHeader>, payload = run.bytes) => {
    const frame = frames.encodeFrame({ ...head, ...changed }, payload, 0);
    return frames.checkFrame(frame, 0, frame.length);
  };
  assert.equal(flaw({}), undefined);
  assert.equal(flaw({ recordCount: 0 }), "fields");
  assert.equal(flaw({ recordCount: frames.batchRecordsMax + 1 }), "fields");
  assert.equal(flaw({ kind: 9 as frames.BatchKind }), "fields");
  assert.equal(flaw({ kind: frames.batchKind.noOp }), "fields");
  assert.equal(flaw({ term: 2 ** 32 }), "fields");
  assert.equal(flaw({ baseOffset: Number.MAX_SAFE_INTEGER }), "fields");
  const noProducer = Uint8Array.of(0x59, 0, 0);
  assert.equal(flaw({}, noProducer), "fields");
});

test("a run's elements are those that protobuf writes for ProduceBatchRequest", () => {
  const record = create(RecordSchema, {
    value: Buffer.from("v"),
    key: Buffer.from("k"),
    headers: [{ key: "a", value: Buffer.from("b") }],
  });
  const theirs = toBinary(RecordSchema, record);
  const ours = encodeRun([
    { value: Buffer.from("v"), key: Buffer.from("k"), headers: [{ key: "a", value: Buffer.from("b") }] },
  ]);
  assert.deepEqual(ours.bytes.subarray(2), theirs);
});

test("a settled frame has the header, producer and chain of its batch, and no records", () => {
  const long = encodeRun([{ value: Buffer.from("x".repeat(400)) }, { value: Buffer.from("two") }]);
  fc.assert(
    fc.property(header, fc.option(producer, { nil: undefined }), safe, (fields, stamp, later) => {
      const place = { ...fields, recordCount: 2 };
      const whole = frames.encodeFrame(place, long.bytes, 99, stamp);
      const settledAt = Math.min(Number.MAX_SAFE_INTEGER, place.index + later);
      const settled = frames.settledFrame(whole, 0, settledAt)!;
      assert.equal(frames.checkFrame(settled, 0, settled.length), undefined);
      assert.deepEqual(frames.frameHeader(settled, 0), { ...place, kind: frames.batchKind.settled });
      assert.deepEqual(frames.frameProducer(settled, 0), stamp);
      assert.equal(frames.frameCrc(settled, 0), frames.frameCrc(whole, 0));
      assert.equal(frames.framePreviousCrc(settled, 0), 99);
      assert.equal(frames.frameOriginalBytes(settled, 0), whole.length);
      assert.equal(frames.frameSettledAt(settled, 0), settledAt);
      assert.ok(frames.frameTakesOffsets(settled, 0));
      assert.equal(settled.length, stamp === undefined ? 81 : frames.headBytes(stamp) + 18);
      assert.equal(fromBinary(RecordBatchSchema, settled.subarray(5)).records.length, 0);
    }),
  );
});

test("any flipped bit of a settled frame is found, and so is a wrong body with a right checksum", () => {
  const long = encodeRun([{ value: Buffer.from("x".repeat(100)) }]);
  const place = {
    index: 7,
    term: 1,
    baseOffset: 3,
    timestampMs: 5,
    recordCount: 1,
    kind: 0,
    logId: 2,
  } as const;
  const settled = frames.settledFrame(frames.encodeFrame(place, long.bytes, 1), 0, 9)!;
  for (let bit = 0; bit < 8 * settled.length; bit++) {
    const flipped = Uint8Array.from(settled);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.notEqual(frames.checkFrame(flipped, 0, flipped.length), undefined, `bit ${bit}`);
  }
  const body = settled.length - 16;
  const forged = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = Uint8Array.from(settled);
    change(bytes);
    const { length } = bytes;
    writeU32le(bytes, 6, crc32(bytes, 10, length, crc32(bytes, 0, 6)));
    return bytes;
  };
  const wrong = [
    forged((bytes) => writeU32le(bytes, body + 4, 81)),
    forged((bytes) => writeU32le(bytes, body + 4, frames.frameBytesMax + 1)),
    forged((bytes) => writeU64le(bytes, body + 8, 6)),
    forged((bytes) => (bytes[body - 2] = 0x0a)),
    forged((bytes) => (bytes[body - 1] = 15)),
    forged((bytes) => writeU32le(bytes, 52, 0)),
  ];
  for (const [k, bytes] of wrong.entries())
    assert.equal(frames.checkFrame(bytes, 0, bytes.length), "fields", `forged ${k}`);
  assert.equal(
    frames.checkFrame(
      forged(() => {}),
      0,
      settled.length,
    ),
    undefined,
  );
});

test("a batch that is not larger than a settled frame is not settled", () => {
  const short = encodeRun([{ value: Buffer.from("x") }]);
  const place = {
    index: 7,
    term: 1,
    baseOffset: 3,
    timestampMs: 5,
    recordCount: 1,
    kind: 0,
    logId: 2,
  } as const;
  assert.equal(frames.settledFrame(frames.encodeFrame(place, short.bytes, 1), 0, 9), undefined);
});

test("a batch of a stream is not settled: its row needs the command", () => {
  const command = Buffer.from(JSON.stringify({ order: "1" }));
  const long = encodeRun([{ value: Buffer.from("x".repeat(400)) }]);
  const payload = Buffer.concat([Buffer.from([0x7a, command.length]), command, long.bytes]);
  const place = {
    index: 7,
    term: 1,
    baseOffset: 3,
    timestampMs: 5,
    recordCount: 1,
    kind: 0,
    logId: 2,
  } as const;
  const frame = frames.encodeFrame(place, payload, 1);
  assert.equal(frames.checkFrame(frame, 0, frame.length), undefined);
  assert.equal(frames.settledFrame(frame, 0, 9), undefined);
  assert.notEqual(frames.settledFrame(frames.encodeFrame(place, long.bytes, 1), 0, 9), undefined);
});
