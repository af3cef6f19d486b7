import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { decodedBatch, encodedBatch } from "../../../../src/api/connect/batch-messages.ts";
import { Fault } from "../../../../src/fault.ts";
import { RecordBatchSchema } from "../../../../src/gen/log/v1/log_pb.js";

const message = toBinary(
  RecordBatchSchema,
  create(RecordBatchSchema, { records: [{ value: Buffer.from("a"), offset: 7n }] }),
);

test("a stored batch is encoded to exactly its bytes, zeros included", () => {
  // An explicit zero in field 2 of the record, which an encoder leaves out.
  const withZero = Buffer.from([0x0a, 0x05, 0x0a, 0x01, 0x61, 0x10, 0x00]);
  for (const bytes of [message, withZero])
    assert.deepEqual(Buffer.from(toBinary(RecordBatchSchema, encodedBatch(bytes))), Buffer.from(bytes));
});

test("a batch for JSON is decoded", () => {
  assert.equal(decodedBatch(message, 1).records[0]?.offset, 7n);
});

test("a batch that cannot fit in a JSON message is refused before it is decoded", () => {
  assert.throws(
    () => decodedBatch(Buffer.from("not a batch"), 65_536),
    (reason) => reason instanceof Fault && reason.kind === "too-large" && reason.facts.limit !== undefined,
  );
});
