import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  ackBytes,
  consumeResponseBytes,
  logIdField,
  logIdTags,
  markerResponse,
  produceBatchResponse,
  produceBulkResponse,
  writeConsumeResponse,
  writeProduceResponse,
} from "../../../../../src/api/fast-path/codec/response-codec.ts";
import {
  ConsumeResponseSchema,
  ProduceBatchResponseSchema,
  ProduceBulkResponseSchema,
  ProduceResponseSchema,
  type Record as RecordMessage,
} from "../../../../../src/gen/log/v1/log_pb.js";
import { readU32be } from "../../../../../src/lib/bytes.ts";
import { envelopeBytes } from "../../../../../src/lib/envelope.ts";
import { encodeFrame, encodeRun, RecordCursor } from "../../../../../src/log/mod.ts";
import { contentBytes, storedContent } from "../stored-content.ts";

/** Returns the message of an envelope and checks its length. */
function opened(envelope: Uint8Array): Uint8Array {
  assert.equal(envelope[0], 0);
  assert.equal(readU32be(envelope, 1), envelope.length - envelopeBytes);
  return envelope.subarray(envelopeBytes);
}

const largestToken = `s4294967295.${Number.MAX_SAFE_INTEGER}`;

test("responses decode to their values, including zeros and 2^53 − 1", () => {
  const number = fc.oneof(fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
  fc.assert(
    fc.property(
      number,
      number,
      fc.integer({ min: 1, max: 0xffff_ffff }),
      fc.boolean(),
      fc.constantFrom(undefined, "1-2", "4294967295-4294967295"),
      (a, b, count, duplicate, logId) => {
        const out = new Uint8Array(96);
        const idField = logIdField(logIdTags.produce, logId);
        const ack = out.subarray(3, writeProduceResponse(out, 3, a, b, duplicate, idField));
        assert.ok(ack.length <= ackBytes(a, b) + idField.length, "ackBytes() is an upper bound");
        const produced = fromBinary(ProduceResponseSchema, opened(ack));
        assert.deepEqual(
          [produced.offset, produced.timestampMs, produced.duplicate, produced.logId],
          [BigInt(a), BigInt(b), duplicate, logId],
        );
        const batch = fromBinary(
          ProduceBatchResponseSchema,
          opened(
            produceBatchResponse(
              { firstOffset: a, count, timestampMs: b, duplicate },
              logIdField(logIdTags.produceBatch, logId, largestToken),
            ),
          ),
        );
        assert.deepEqual(
          [batch.firstOffset, batch.count, batch.timestampMs, batch.duplicate, batch.logId],
          [BigInt(a), count, BigInt(b), duplicate, logId],
        );
        assert.equal(batch.token, logId === undefined ? undefined : largestToken);
        const bulk = fromBinary(
          ProduceBulkResponseSchema,
          opened(produceBulkResponse(a, b, count, a, logIdField(logIdTags.produceBulk, logId, largestToken))),
        );
        assert.deepEqual(
          [bulk.firstOffset, bulk.records, bulk.batches, bulk.nextOffset, bulk.logId],
          [BigInt(a), BigInt(b), BigInt(count), BigInt(a), logId],
        );
        const consumeField = logIdField(logIdTags.consume, logId);
        const marker = fromBinary(
          ConsumeResponseSchema,
          opened(markerResponse("caught-up", a, consumeField)),
        );
        assert.deepEqual(
          [marker.caughtUp, marker.heartbeat, marker.endOffset, marker.record, marker.logId],
          [true, false, BigInt(a), undefined, logId],
        );
        const beat = fromBinary(ConsumeResponseSchema, opened(markerResponse("heartbeat", a, consumeField)));
        assert.deepEqual([beat.caughtUp, beat.heartbeat], [false, true]);
      },
    ),
    { seed: 3, numRuns: 300 },
  );
});

test("a stored record is sent with its offset, term and timestamp, and decodes to its content", () => {
  const records = fc.array(fc.record({ value: contentBytes, key: contentBytes }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(records, fc.maxSafeNat(), fc.nat(), fc.maxSafeNat(), (made, base, term, timestampMs) => {
      const idField = logIdField(logIdTags.consume, term % 2 === 0 ? undefined : "7-1");
      const baseOffset = Math.min(base, Number.MAX_SAFE_INTEGER - 10);
      const run = encodeRun(made);
      const header = { index: 1, term, baseOffset, timestampMs, recordCount: run.count, kind: 0 } as const;
      const cursor = new RecordCursor(encodeFrame(header, run.bytes, 0));
      for (const [ordinal, one] of made.entries()) {
        assert.ok(cursor.next());
        const out = new Uint8Array(consumeResponseBytes(cursor, idField));
        assert.equal(writeConsumeResponse(out, 0, cursor, idField), out.length);
        const { record: got, logId } = fromBinary(ConsumeResponseSchema, opened(out));
        assert.deepEqual(
          [got?.offset, got?.term, got?.timestampMs, got?.type],
          [BigInt(baseOffset + ordinal), BigInt(term), BigInt(timestampMs), 0],
        );
        assert.equal(logId, term % 2 === 0 ? undefined : "7-1");
        assert.deepEqual(storedContent(got as RecordMessage), storedContent({ ...one, headers: [] }));
      }
    }),
    { seed: 4, numRuns: 300 },
  );
});
