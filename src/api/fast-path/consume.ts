/** Consume: one request message, one record. The record is not decoded. */
import { type ConsumeRequest, ConsumeRequestSchema } from "../../gen/log/v1/log_pb.js";
import { RecordCursor } from "../../log/mod.ts";
import { freshnessOf, startOf } from "../methods/messages.ts";
import { memoryWaitMs } from "../methods/read-admission.ts";
import { readOne } from "../methods/read-one.ts";
import { decodeMessage } from "./decode-message.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { consumeResponseBytes, logIdField, logIdTags, writeConsumeResponse } from "./response-codec.ts";
import { receiveUnary } from "./unary-message.ts";

export const consume: ServeMethod = (context, call) => {
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    respond(context, call, decodeMessage(ConsumeRequestSchema, bytes.subarray(start, end))).catch((reason) =>
      call.fail(reason),
    );
  });
};

async function respond(context: FastPathContext, call: FastCall, request: ConsumeRequest): Promise<void> {
  const ended = new AbortController();
  call.onEnd = () => ended.abort();
  const freshness = { ...freshnessOf(request, call.tracked.deadlineMs), signal: ended.signal };
  call.tracked.long = request.waitMs > 0;
  const plan = { start: startOf(request), waitMs: request.waitMs, freshness };
  const { memory, clock } = context;
  using share = memory.share("out");
  const admission = { sink: call.stream, memory, clock, signal: ended.signal, share, waitMs: memoryWaitMs };
  const opening = context.logs.openFor(call.tracked, request, freshness);
  const { log, logId, token } = opening instanceof Promise ? await opening : opening;
  const { slice, offset } = await readOne(log, plan, admission);
  const cursor = new RecordCursor(slice.frames, offset);
  cursor.next();
  const size = cursor.end - cursor.start;
  call.tracked.bytesOut += size;
  context.traffic.sent(1, size);
  const idField = logIdField(logIdTags.consume, logId, token());
  const envelope = Buffer.allocUnsafe(consumeResponseBytes(cursor, idField));
  writeConsumeResponse(envelope, 0, cursor, idField);
  call.finish(envelope);
}
