import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { appendRequestOf, undecodable } from "../../../../src/api/methods/append-message.ts";
import { ProduceBatchRequestSchema, ProduceRequestSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { defaultRecordLimits } from "../../../../src/log/frame/record-walk.ts";
import { encodeRun } from "../../../../src/log/mod.ts";

const value = Buffer.from("a");
const batchOf = (fields: MessageInitShape<typeof ProduceBatchRequestSchema>) =>
  appendRequestOf(create(ProduceBatchRequestSchema, fields), "ann", defaultRecordLimits, undefined);

test("a request for one record and one for a batch become the same run", () => {
  const one = create(ProduceRequestSchema, { record: { value } });
  const expected = encodeRun([{ value }]);
  for (const { run } of [
    appendRequestOf(one, "ann", defaultRecordLimits, undefined),
    batchOf({ records: [{ value }] }),
  ]) {
    assert.deepEqual([Buffer.from(run.bytes), run.count], [Buffer.from(expected.bytes), 1]);
  }
});

test("records that were taken out of the message before are used as they are", () => {
  const taken = encodeRun([{ value }, { value }]);
  const request = create(ProduceRequestSchema, {});
  assert.equal(appendRequestOf(request, "ann", defaultRecordLimits, undefined, taken).run, taken);
});

test("a request for one record that has none is a bad request", () => {
  const request = create(ProduceRequestSchema, {});
  assert.throws(() => appendRequestOf(request, "ann", defaultRecordLimits, undefined), {
    kind: "bad-request",
    facts: { field: "record" },
  });
});

test("the producer belongs to the caller, and conditions that are absent stay absent", () => {
  const stamped = batchOf({
    records: [{}],
    producer: { id: 7n, epoch: 2, sequence: 5n },
    expectedOffset: 0n,
  });
  assert.equal(stamped.producer?.subject, "ann");
  assert.equal(stamped.expectedOffset, 0);
  const plain = batchOf({ records: [{}] });
  assert.deepEqual([plain.producer, plain.expectedOffset], [undefined, undefined]);
});

test("an expected offset that no offset can have is a bad request", () => {
  assert.throws(() => batchOf({ records: [{}], expectedOffset: 2n ** 60n }), {
    kind: "bad-request",
    facts: { field: "expected_offset" },
  });
});

test("a message that protobuf cannot decode is a bad request with its reason", () => {
  const reason = new Error("premature EOF");
  const { kind, cause } = undecodable(reason);
  assert.deepEqual([kind, cause], ["bad-request", reason]);
});
