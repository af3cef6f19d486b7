/**
 * Consume: one request in, one record out.
 *
 * Never: decodes the record.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { type ConsumeRequest, ConsumeRequestSchema } from "../../gen/log/v1/log_pb.js";
import { RecordCursor } from "../../log/mod.ts";
import { undecodable } from "../methods/append-message.ts";
import { freshnessOf, startOf } from "../methods/messages.ts";
import { memoryWaitMs } from "../methods/read-admission.ts";
import { readOne } from "../methods/read-one.ts";
import { checkFields } from "../request-limits/message-limits.ts";
import type { ExpressCall } from "./fast-call.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Lane, Serve } from "./fast-path.ts";
import { consumeResponseBytes, writeConsumeResponse } from "./response-codec.ts";
import { readUnary } from "./unary-body.ts";

export const consume: Serve = (lane, express) => {
  readUnary(express, lane.requestBytesMax, (bytes, start, end) => {
    answer(lane, express, decodeConsume(bytes.subarray(start, end))).catch((reason) => express.fail(reason));
  });
};

async function answer(lane: Lane, express: ExpressCall, request: ConsumeRequest): Promise<void> {
  const ended = new AbortController();
  express.onEnd = () => ended.abort();
  const freshness = { ...freshnessOf(request, express.call.deadlineMs), signal: ended.signal };
  express.call.long = request.waitMs > 0;
  const plan = { start: startOf(request), waitMs: request.waitMs, freshness };
  const { held: memory, clock } = lane;
  using share = memory.share("out");
  const room = { sink: express.stream, memory, clock, signal: ended.signal, share, waitMs: memoryWaitMs };
  const { slice, offset } = await readOne(lane.log, plan, room);
  const cursor = new RecordCursor(slice.frames, offset);
  cursor.next();
  const size = cursor.end - cursor.start;
  express.call.bytesOut += size;
  lane.traffic.sent(1, size);
  const envelope = Buffer.allocUnsafe(consumeResponseBytes(cursor));
  writeConsumeResponse(envelope, 0, cursor);
  express.finish(envelope);
}

/** Throws Fault "bad-request", and "too-large" for too many fields. */
export function decodeConsume(message: Uint8Array): ConsumeRequest {
  checkFields(ConsumeRequestSchema, message);
  try {
    return fromBinary(ConsumeRequestSchema, message);
  } catch (reason) {
    throw undecodable(reason);
  }
}
