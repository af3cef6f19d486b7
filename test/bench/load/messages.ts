/** Requests that are encoded once, so that the load generator is not the limit. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConsumeRequestSchema,
  ProduceBatchRequestSchema,
  ProduceRequestSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";

const recordBytes = 100;
const value = Buffer.alloc(recordBytes, "tailrace ");
const one = { value: value.toString("base64") };

/** The body of `POST /` and of Produce with JSON: one record of 100 bytes. */
export const produceOneJson = Buffer.from(JSON.stringify({ record: one }));

/** The body of ProduceBatch with JSON. */
export const produceManyJson = (count: number): Buffer =>
  Buffer.from(JSON.stringify({ records: Array.from({ length: count }, () => one) }));

/** A ProduceRequest with one record of 100 bytes, in an envelope. */
export const produceOne = encodeEnvelope(
  toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { record: { value } })),
);

/** Encodes a ProduceBatchRequest with `count` records, in an envelope. */
export function produceMany(count: number): Uint8Array {
  const records = Array.from({ length: count }, () => ({ value }));
  return encodeEnvelope(toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, { records })));
}

/** Encodes a ConsumeRequest, in an envelope. */
export function consumeFrom(init: {
  offset?: bigint;
  fromEnd?: boolean;
  maxRecords?: bigint;
  stopAtEnd?: boolean;
}): Uint8Array {
  const { fromEnd, ...rest } = init;
  const start = fromEnd ? ({ case: "fromEnd", value: true } as const) : { case: undefined };
  return encodeEnvelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { ...rest, start })));
}

export const paths = {
  produce: "/log.v1.Log/Produce",
  produceStream: "/log.v1.Log/ProduceStream",
  produceBulk: "/log.v1.Log/ProduceBulk",
  produceBatch: "/log.v1.Log/ProduceBatch",
  consume: "/log.v1.Log/Consume",
  consumeStream: "/log.v1.Log/ConsumeStream",
  consumeBatches: "/log.v1.Log/ConsumeBatches",
} as const;
