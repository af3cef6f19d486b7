/**
 * Batches of the log as messages for Connect's encoder.
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import { Fault } from "../../fault.ts";
import { type RecordBatch, RecordBatchSchema } from "../../gen/log/v1/log_pb.js";
import { frameBytes, frameRecordCount, prefixBytes } from "../../log/mod.ts";
import { sentBytesMax } from "../request-limits/message-limits.ts";

/** Returns the messages of `frame*`, without their prefixes. */
export function* messagesOf(frames: Uint8Array): Generator<{ message: Uint8Array; records: number }> {
  for (let at = 0; at < frames.length; at += frameBytes(frames, at)) {
    const message = frames.subarray(at + prefixBytes, at + frameBytes(frames, at));
    yield { message, records: frameRecordCount(frames, at) };
  }
}

/** Size of the smallest record: `{"value":"","offset":"0","term":"0","type":0,"key":"","headers":[],"timestampMs":"0"},` */
const jsonRecordBytesMin = 84;

/**
 * Decodes a batch, to be encoded as JSON.
 * @throws Fault "too-large", before decoding, if the JSON cannot fit in a message
 */
export function decodedBatch(message: Uint8Array, records: number): RecordBatch {
  if (records * jsonRecordBytesMin <= sentBytesMax) return fromBinary(RecordBatchSchema, message);
  throw new Fault("too-large", {
    message: `a batch of ${records} records is more than ${sentBytesMax} bytes in JSON, read it in binary or with ConsumeStream`,
    facts: { limit: sentBytesMax },
  });
}

/**
 * Returns a batch that encodes to exactly these bytes. protobuf-es writes unknown fields unchanged, so it gets the whole
 * message as one unknown field. Decoding and encoding again would drop zeros that are on disk and that the checksum
 * covers.
 */
export function encodedBatch(message: Uint8Array): RecordBatch {
  const batch = create(RecordBatchSchema);
  const tag = message[0]!;
  batch.$unknown = [{ no: tag >>> 3, wireType: tag & 7, data: message.subarray(1) }];
  return batch;
}
