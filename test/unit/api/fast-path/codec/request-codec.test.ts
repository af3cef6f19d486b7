import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { AppendRequestReader } from "../../../../../src/api/fast-path/codec/request-codec.ts";
import {
  ProduceBatchRequestSchema,
  ProduceRequestSchema,
  RecordBatchSchema,
  type Record as RecordMessage,
} from "../../../../../src/gen/log/v1/log_pb.js";
import { defaultRecordLimits } from "../../../../../src/log/mod.ts";
import { contentBytes, storedContent } from "../stored-content.ts";

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const safe = fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) });
const record = fc.record({
  value: contentBytes,
  key: contentBytes,
  offset: u64,
  term: u64,
  type: fc.nat(),
  timestampMs: u64,
  headers: fc.array(fc.record({ key: fc.string({ unit: "binary", maxLength: 20 }), value: contentBytes }), {
    maxLength: 4,
  }),
});
const producer = fc.option(
  fc.record({ id: u64, epoch: fc.integer({ min: 0, max: 0xffff_ffff }), sequence: safe }),
  { nil: undefined },
);
const request = fc.record({
  producer,
  expectedOffset: fc.option(safe, { nil: undefined }),
  log: fc.oneof(fc.constant(""), fc.string({ unit: "grapheme", maxLength: 300 })),
  logId: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
});

interface Sent {
  readonly producer: unknown;
  readonly expectedOffset: unknown;
  readonly log: string;
  readonly logId: string | undefined;
}

function checkAppend(read: AppendRequestReader, sent: Sent): void {
  assert.deepEqual({ ...read.named }, { log: sent.log, logId: sent.logId });
  const stamp = read.producer;
  const got = stamp && { id: stamp.id, epoch: stamp.epoch, sequence: BigInt(stamp.sequence) };
  assert.deepEqual(got, sent.producer === undefined ? undefined : { ...(sent.producer as object) });
  assert.equal(stamp?.subject, sent.producer === undefined ? undefined : "ann");
  assert.equal(
    read.expectedOffset,
    sent.expectedOffset === undefined ? undefined : Number(sent.expectedOffset),
  );
}

test("a ProduceRequest means the same to the codec as to protobuf-es", () => {
  const read = new AppendRequestReader(defaultRecordLimits, "ann");
  fc.assert(
    fc.property(record, request, fc.nat(20), (one, rest, before) => {
      const message = create(ProduceRequestSchema, { record: one, ...rest } as never);
      const encoded = new Uint8Array([...new Uint8Array(before), ...toBinary(ProduceRequestSchema, message)]);
      assert.ok(read.read(encoded, before, encoded.length, 1, 1));
      checkAppend(read, rest);
      const [stored] = fromBinary(RecordBatchSchema, read.run.bytes).records;
      assert.equal(read.run.count, 1);
      assert.deepEqual(
        storedContent(stored as RecordMessage),
        storedContent(message.record as RecordMessage),
      );
      assert.deepEqual([stored?.offset, stored?.term, stored?.type, stored?.timestampMs], [0n, 0n, 0, 0n]);
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("a ProduceBatchRequest means the same to the codec as to protobuf-es", () => {
  const read = new AppendRequestReader(defaultRecordLimits, "ann");
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), request, (records, rest) => {
      const message = create(ProduceBatchRequestSchema, { records, ...rest } as never);
      const encoded = toBinary(ProduceBatchRequestSchema, message);
      assert.ok(read.read(encoded, 0, encoded.length, 1, Number.MAX_SAFE_INTEGER));
      checkAppend(read, rest);
      const stored = fromBinary(RecordBatchSchema, read.run.bytes).records;
      assert.equal(read.run.count, records.length);
      assert.deepEqual(stored.map(storedContent), message.records.map(storedContent));
    }),
    { seed: 2, numRuns: 300 },
  );
});

test("the fields of a request may come in any order", () => {
  const read = new AppendRequestReader(defaultRecordLimits, "ann");
  const part = (init: object): Uint8Array =>
    toBinary(ProduceRequestSchema, create(ProduceRequestSchema, init as never));
  const parts = [
    part({ record: { value: Buffer.from("x") } }),
    part({ producer: { id: 7n, epoch: 1, sequence: 3n } }),
    part({ expectedOffset: 9n }),
    part({ log: "a/🦀" }),
    part({ logId: "7-1" }),
  ];
  for (const order of [
    [0, 1, 2, 3, 4],
    [2, 4, 1, 0, 3],
    [4, 3, 1, 0, 2],
  ]) {
    const encoded = Buffer.concat(order.map((at) => parts[at] as Uint8Array));
    assert.ok(read.read(encoded, 0, encoded.length, 1, 1));
    checkAppend(read, {
      producer: { id: 7n, epoch: 1, sequence: 3n },
      expectedOffset: 9n,
      log: "a/🦀",
      logId: "7-1",
    });
  }
});

test("unusual messages are not read", () => {
  const read = new AppendRequestReader(defaultRecordLimits, "ann");
  const one = Buffer.from([0x0a, 0x02, 0x0a, 0x00]);
  const cases: Record<string, Uint8Array> = {
    "no record": Buffer.alloc(0),
    "two records": Buffer.concat([one, one]),
    "an unknown group": Buffer.concat([one, Buffer.from([0x3b, 0x3c])]),
    "more unknown fields than a message may have": Buffer.concat([one, Buffer.alloc(65_538, "\x30\x00")]),
    "two expectations": Buffer.concat([one, Buffer.from([0x18, 0x01, 0x18, 0x02])]),
    "two logs": Buffer.concat([one, Buffer.from("220161220161", "hex")]),
    "two ids": Buffer.concat([one, Buffer.from("2a01612a0161", "hex")]),
    "a log that is cut off": Buffer.concat([one, Buffer.from("220561", "hex")]),
    "a log that is not UTF-8": Buffer.concat([one, Buffer.from("2201ff", "hex")]),
    "a log as a number": Buffer.concat([one, Buffer.from("2001", "hex")]),
    "an expectation above 2^53": Buffer.concat([one, Buffer.from("18ffffffffffffffff7f", "hex")]),
    "a producer's unknown field": Buffer.concat([one, Buffer.from([0x12, 0x02, 0x20, 0x01])]),
    "a producer cut off": Buffer.concat([one, Buffer.from([0x12, 0x05, 0x08])]),
    "an epoch above 32 bits": Buffer.concat([one, Buffer.from("12061080808080 20".replace(" ", ""), "hex")]),
  };
  for (const [name, message] of Object.entries(cases)) {
    assert.equal(read.read(message, 0, message.length, 1, 1), false, name);
  }
});

test("unknown fields are skipped, and records in several runs become one run", () => {
  const read = new AppendRequestReader(defaultRecordLimits, "ann");
  const message = Buffer.from("3001" + "0a020a00" + "3a0161" + "1801" + "0a030a0107" + "3d00000000", "hex");
  assert.equal(read.read(message, 0, message.length, 1, 99), true);
  assert.equal(read.expectedOffset, 1);
  const slow = fromBinary(ProduceBatchRequestSchema, message).records;
  const found = fromBinary(ProduceBatchRequestSchema, read.run.bytes).records;
  assert.equal(read.run.count, 2);
  assert.deepEqual(
    found.map(({ value }) => [...value]),
    slow.map(({ value }) => [...value]),
  );
  const full = Buffer.alloc(2 * 65_536, Buffer.from("0a00", "hex"));
  const many = Buffer.concat([full, Buffer.from("30000a00", "hex")]);
  assert.throws(() => read.read(many, 0, many.length, 1, Number.MAX_SAFE_INTEGER), /more than 65536 records/);
});
