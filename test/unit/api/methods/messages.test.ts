import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  freshnessOf,
  numberOf,
  planOf,
  recordAt,
  stampOf,
  startOf,
} from "../../../../src/api/methods/messages.ts";
import { ConsumeRequestSchema, ProducerSchema, ReadMode } from "../../../../src/gen/log/v1/log_pb.js";
import { encodeRun, RecordCursor } from "../../../../src/log/mod.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";

const consume = (init: MessageInitShape<typeof ConsumeRequestSchema>) => create(ConsumeRequestSchema, init);

test("a 64-bit number up to 2^53 − 1 is converted, a larger one is a bad request that names its field", () => {
  assert.equal(numberOf(2n ** 53n - 1n, "offset"), Number.MAX_SAFE_INTEGER);
  assert.throws(() => numberOf(2n ** 53n, "offset"), { kind: "bad-request", facts: { field: "offset" } });
});

test("a producer is stamped with the subject of the caller", () => {
  const producer = create(ProducerSchema, { id: 2n ** 64n - 1n, epoch: 3, sequence: 4n });
  assert.deepEqual(stampOf(producer, "ann"), { subject: "ann", id: 2n ** 64n - 1n, epoch: 3, sequence: 4 });
  assert.equal(stampOf(undefined, "ann"), undefined);
});

test("a read starts at an offset, a time, the last records or the end", () => {
  assert.deepEqual(startOf(consume({ offset: 5n })), { offset: 5 });
  assert.deepEqual(startOf(consume({ start: { case: "fromTimeMs", value: 7n } })), { fromTimeMs: 7 });
  assert.deepEqual(startOf(consume({ start: { case: "last", value: 2n } })), { last: 2 });
  assert.deepEqual(startOf(consume({ start: { case: "fromEnd", value: true } })), { end: true });
  assert.deepEqual(startOf(consume({ offset: 5n, start: { case: "fromEnd", value: false } })), { offset: 5 });
});

test("an unspecified read mode is a session read, and an unknown one is a bad request", () => {
  assert.deepEqual(freshnessOf(consume({}), undefined), { mode: "session" });
  const bounded = consume({ readMode: ReadMode.BOUNDED, maxStalenessMs: 9, seenOffset: 4n });
  const expected = { mode: "bounded", seenOffset: 4, maxStalenessMs: 9, deadlineMs: 100 };
  assert.deepEqual(freshnessOf(bounded, 100), expected);
  assert.throws(() => freshnessOf(consume({ readMode: 99 as ReadMode }), undefined), {
    kind: "bad-request",
  });
});

test("a plan has the limits of its request, and an end offset only if there is one", () => {
  const { limits, stopAtEnd } = planOf(consume({ maxRecords: 3n, maxBytes: 4n, stopAtEnd: true }), undefined);
  assert.deepEqual(limits, { recordsMax: 3, bytesMax: 4, endOffset: undefined });
  assert.equal(stopAtEnd, true);
  assert.equal(planOf(consume({ endOffset: 0n }), undefined).limits.endOffset, 0);
});

test("a record of a slice becomes a message with its offset, term and timestamp", async () => {
  const log = new MemoryLog();
  const headers = [{ key: "h", value: Buffer.from("1") }];
  await log.append(encodeRun([{}, { value: Buffer.from("v"), key: Buffer.from("k"), headers }]));
  const cursor = new RecordCursor((await log.read(0)).frames, 1);
  assert.ok(cursor.next());
  const { value, key, offset, term, timestampMs, headers: found } = recordAt(cursor);
  assert.deepEqual([Buffer.from(value ?? []).toString(), Buffer.from(key ?? []).toString()], ["v", "k"]);
  assert.deepEqual([offset, term, timestampMs, found?.length], [1n, 1n, BigInt(log.nowMs), 1]);
});
