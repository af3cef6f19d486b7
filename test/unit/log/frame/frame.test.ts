import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { RecordBatchSchema, RecordSchema } from "../../../../src/gen/log/v1/log_pb.js";
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
