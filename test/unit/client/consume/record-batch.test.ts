import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { checkBatch } from "../../../../src/client/consume/record-batch.ts";
import { frameOf, produceBatchRequest } from "../../../../src/client/raw-batches.ts";
import { encodeRun } from "../../../../src/client/record-codec.ts";
import { Fault } from "../../../../src/fault.ts";
import { ProduceBatchRequestSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { crc32 } from "../../../../src/lib/checksum.ts";
import { crc32ByTable } from "../../../../src/lib/crc-table.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { batchKind, encodeFrame } from "../../../../src/log/mod.ts";

const frame = encodeFrame(
  { index: 1, term: 1, baseOffset: 40, timestampMs: 5, recordCount: 3, kind: batchKind.data },
  encodeRun([{ value: "a" }, { key: "k" }, { value: "c".repeat(400) }]).bytes,
  0,
);

test("a batch that was parsed as a message without fields is joined to the same frame", () => {
  const message = fromBinary(EmptySchema, frame.subarray(5));
  assert.deepEqual(frameOf(message), frame);
  for (const crc of [crc32, crc32ByTable]) {
    assert.deepEqual(checkBatch(frameOf(message), crc), { frames: frame, firstOffset: 40, nextOffset: 43 });
  }
});

test("a frame with any bit flipped, or truncated anywhere, is corrupt", () => {
  const chance = prng("batch");
  const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";
  for (let at = 0; at < frame.length * 8; at += chance.between(1, 3)) {
    const turned = frame.slice();
    turned[at >> 3]! ^= 1 << (at & 7);
    assert.throws(() => checkBatch(turned, crc32), isCorrupt, `bit ${at}`);
  }
  for (let length = 0; length < frame.length; length++) {
    assert.throws(() => checkBatch(frame.subarray(0, length), crc32), isCorrupt, `length ${length}`);
  }
  assert.throws(() => checkBatch(frameOf(create(EmptySchema)), crc32), isCorrupt);
});

test("a run is sent undecoded and decodes to its records", () => {
  const run = encodeRun([{ value: "a" }, { value: "b", headers: [{ key: "h", value: "v" }] }]);
  const request = produceBatchRequest(run, { id: 2n ** 63n, epoch: 3, sequence: 9 }, 0);
  const read = fromBinary(ProduceBatchRequestSchema, toBinary(ProduceBatchRequestSchema, request));
  assert.deepEqual(
    read.records.map(({ value }) => Buffer.from(value).toString()),
    ["a", "b"],
  );
  assert.equal(read.records[1]!.headers[0]!.key, "h");
  assert.equal(read.producer!.id, 2n ** 63n);
  assert.equal(read.producer!.sequence, 9n);
  assert.equal(read.expectedOffset, 0n);
});
