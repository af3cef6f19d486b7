import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ConsumeResponseSchema, RecordSchema } from "../../../src/gen/log/v1/log_pb.js";
import { EnvelopeReader, messageBytesMax, readConsumed, readRecord } from "../../../web/src/core/wire.ts";

const bytes = fc.uint8Array({ maxLength: 60 }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>;
const whole = fc.maxSafeNat();
const recordOf = fc.record(
  {
    value: bytes,
    offset: whole,
    term: whole,
    type: fc.nat(),
    key: bytes,
    headers: fc.array(
      fc.record(
        { key: fc.string({ unit: "grapheme", maxLength: 8 }), value: bytes },
        { noNullPrototype: true },
      ),
      { maxLength: 4 },
    ),
    timestampMs: whole,
  },
  { noNullPrototype: true },
);
const seeded = { seed: 7, numRuns: 500 };

type RecordParts = typeof recordOf extends fc.Arbitrary<infer Parts> ? Parts : never;

const encode = (record: RecordParts): Uint8Array =>
  toBinary(
    RecordSchema,
    create(RecordSchema, {
      ...record,
      offset: BigInt(record.offset),
      term: BigInt(record.term),
      timestampMs: BigInt(record.timestampMs),
    }),
  );

test("a record is read as protobuf-es wrote it", () => {
  fc.assert(
    fc.property(recordOf, (record) => {
      const { type: _, ...expected } = record;
      const { headers, ...found } = readRecord(encode(record));
      assert.deepEqual(
        { ...found, headers: headers.map(({ key, value }) => ({ key, value: Uint8Array.from(value) })) },
        { ...expected, headers: record.headers },
      );
    }),
    seeded,
  );
});

test("a response is read as protobuf-es wrote it, whether it holds a record or a marker", () => {
  fc.assert(
    fc.property(recordOf, fc.boolean(), fc.boolean(), whole, (record, marker, caughtUp, endOffset) => {
      const logId = record.offset % 2 === 0 ? "7-42" : "";
      const next = BigInt(endOffset);
      const position = caughtUp ? { nextOffset: next, suspended: true, skipped: next } : {};
      const message = marker
        ? { logId, caughtUp, ...position, endOffset: BigInt(endOffset), heartbeat: !caughtUp }
        : { logId, record: { value: record.value, offset: BigInt(record.offset) } };
      const found = readConsumed(toBinary(ConsumeResponseSchema, create(ConsumeResponseSchema, message)));
      assert.equal(found.record === undefined, marker);
      assert.equal(Buffer.from(found.logId ?? []).toString(), logId);
      if (marker) assert.deepEqual([found.caughtUp, found.endOffset ?? 0], [caughtUp, endOffset]);
      const isPosition = marker && caughtUp;
      assert.equal(found.nextOffset, isPosition ? endOffset : undefined);
      assert.equal(found.suspended, isPosition);
      assert.equal(found.skipped, isPosition ? endOffset : 0);
      if (!marker) assert.equal(found.offset, record.offset);
    }),
    seeded,
  );
});

test("envelopes come out whole however the chunks are torn", () => {
  const messages = fc.array(fc.tuple(fc.nat(3), bytes), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, cuts) => {
      const stream = Buffer.concat(
        sent.map(([flag, message]) => {
          const head = Buffer.alloc(5);
          head[0] = flag;
          head.writeUInt32BE(message.length, 1);
          return Buffer.concat([head, message]);
        }),
      );
      const reader = new EnvelopeReader();
      const found: [number, Uint8Array][] = [];
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const length = cuts[turn % cuts.length] as number;
        for (const { flag, message } of reader.push(stream.subarray(at, at + length))) {
          found.push([flag, Uint8Array.from(message)]);
        }
        at += length;
      }
      assert.deepEqual(found, sent);
    }),
    seeded,
  );
});

test("bytes that are no message end in a RangeError, never in a hang or a wrong record", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (garbage) => {
      try {
        readRecord(garbage);
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
      }
    }),
    seeded,
  );
  assert.throws(() => readRecord(Uint8Array.of(0x0a, 5, 1)), /cut short/);
  assert.throws(() => readRecord(new Uint8Array(11).fill(0xff)), /ten bytes/);
});

test("an absurd length is refused before anything is gathered for it", () => {
  const reader = new EnvelopeReader();
  const head = Buffer.alloc(5);
  head.writeUInt32BE(messageBytesMax + 1, 1);
  assert.throws(() => [...reader.push(head)], RangeError);
});
