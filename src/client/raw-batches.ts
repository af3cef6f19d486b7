/**
 * ProduceBatch and ConsumeBatches without encoding or decoding a record in protobuf-es.
 *
 * A run is the bytes of ProduceBatchRequest.records, and is sent as one unknown field. A RecordBatch is received as a
 * message with unknown fields only. They are joined into the frame that the node has on disk, and its CRC
 * (consume/record-batch.ts) verifies the result.
 */
import type { DescMethodServerStreaming, Message } from "@bufbuild/protobuf";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import {
  type ConsumeRequestSchema,
  Log,
  type ProduceBatchRequest,
  ProduceBatchRequestSchema,
  type ProducerSchema,
} from "../gen/log/v1/log_pb.js";
import { assert } from "../lib/assert.ts";
import { varintBytes, writeVarint } from "../lib/bytes.ts";
import { envelopeBytes, writeEnvelopeHead } from "../lib/envelope.ts";
import type { AppendOptions, RecordRun } from "../types.ts";
import type { StatedLog } from "./logs/log-identity.ts";
import { uint64Of } from "./messages.ts";

/** ConsumeBatches with undecoded responses. */
export const consumeBatches: DescMethodServerStreaming<typeof ConsumeRequestSchema, typeof EmptySchema> = {
  ...Log.method.consumeBatches,
  output: EmptySchema,
};

const recordsField = { no: 1, wireType: 2 } as const;
const recordsTag = 0x0a;

/** The producer of an append as the client sends it. The node knows the subject from the connection. */
export type Stamp = Pick<NonNullable<AppendOptions["producer"]>, "id" | "epoch" | "sequence">;

export function produceBatchRequest(
  run: RecordRun,
  stamp: Stamp | undefined,
  expectedOffset: number | undefined,
  log: StatedLog = {},
): ProduceBatchRequest {
  assert(run.count > 0 && run.bytes[0] === recordsTag, "a run of records");
  const init: MessageInitShape<typeof ProduceBatchRequestSchema> = { ...log };
  if (stamp !== undefined) init.producer = producerOf(stamp);
  if (expectedOffset !== undefined) init.expectedOffset = uint64Of("expectedOffset", expectedOffset);
  const request = create(ProduceBatchRequestSchema, init);
  request.$unknown = [{ ...recordsField, data: run.bytes.subarray(1) }];
  return request;
}

const producerOf = ({ id, epoch, sequence }: Stamp): MessageInitShape<typeof ProducerSchema> => ({
  id,
  epoch,
  sequence: uint64Of("sequence", sequence),
});

/** Joins the unknown fields of a RecordBatch into one frame: gRPC prefix and message. The frame is a copy. */
export function frameOf(message: Message): Uint8Array {
  const fields = message.$unknown ?? [];
  let length = 0;
  for (const { no, data } of fields) length += varintBytes(no * 8) + data.length;
  const frame = new Uint8Array(envelopeBytes + length);
  writeEnvelopeHead(frame, 0, frame.length);
  let at = envelopeBytes;
  for (const { no, wireType, data } of fields) {
    at = writeVarint(frame, at, no * 8 + wireType);
    frame.set(data, at);
    at += data.length;
  }
  return frame;
}
