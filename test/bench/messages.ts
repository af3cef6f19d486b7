/** Requests as bytes, made once: the generator must not be what limits. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConsumeRequestSchema,
  ProduceBatchRequestSchema,
  ProduceRequestSchema,
} from "../../src/gen/log/v1/log_pb.js";

const recordBytes = 100;
const value = Buffer.alloc(recordBytes, "tailrace ");

function envelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A ProduceRequest with one record of 100 bytes, enveloped. */
export const produceOne = envelope(
  toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { record: { value } })),
);

/** A ProduceBatchRequest with so many of them, enveloped. */
export function produceMany(count: number): Buffer {
  const records = Array.from({ length: count }, () => ({ value }));
  return envelope(toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, { records })));
}

/** A ConsumeRequest, enveloped. */
export function consumeFrom(init: {
  offset?: bigint;
  fromEnd?: boolean;
  maxRecords?: bigint;
  stopAtEnd?: boolean;
}): Buffer {
  const { fromEnd, ...rest } = init;
  const start = fromEnd ? ({ case: "fromEnd", value: true } as const) : { case: undefined };
  return envelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { ...rest, start })));
}

export const paths = {
  produce: "/log.v1.Log/Produce",
  produceStream: "/log.v1.Log/ProduceStream",
  produceBulk: "/log.v1.Log/ProduceBulk",
  produceBatch: "/log.v1.Log/ProduceBatch",
  consumeStream: "/log.v1.Log/ConsumeStream",
  consumeBatches: "/log.v1.Log/ConsumeBatches",
} as const;
