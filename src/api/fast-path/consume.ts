/** Consume: one request message, one record. The record is not decoded. */
import { type ConsumeRequest, ConsumeRequestSchema, Log } from "../../gen/log/v1/log_pb.js";
import { RecordCursor } from "../../log/mod.ts";
import { freshnessOf, recordAt, startOf } from "../methods/messages.ts";
import { memoryWaitMs } from "../methods/read-admission.ts";
import { readOne } from "../methods/read-one.ts";
import { refuseFilter } from "../methods/tails/filtered-read.ts";
import { decodeMessage } from "./codec/decode-message.ts";
import { JsonMessages } from "./codec/json-message.ts";
import { consumeResponseBytes, logIdField, logIdTags, writeConsumeResponse } from "./codec/response-codec.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { receiveUnary } from "./unary-message.ts";

const json = new JsonMessages(Log.method.consume);
/** Copies of a record while it is encoded as JSON: the stored bytes, the text and the bytes of the message. */
const encodedCopies = 3;

export const consume: ServeMethod = (context, call) => {
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    const message = bytes.subarray(start, end);
    const work = call.request.isJson
      ? json.read(context, message).then(({ request }) => respond(context, call, request))
      : respond(context, call, decodeMessage(ConsumeRequestSchema, message));
    work.catch(call.failInTurn);
  });
};

async function respond(context: FastPathContext, call: FastCall, request: ConsumeRequest): Promise<void> {
  if (call.over) return;
  const ended = new AbortController();
  call.onEnd = () => ended.abort();
  const freshness = { ...freshnessOf(request, call.tracked.deadlineMs), signal: ended.signal };
  refuseFilter(request.filter, "Consume");
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
  // Nothing waits any more: an abort would cost more than the read.
  call.onEnd = undefined;
  if (call.request.isJson) {
    share.hold(Math.min(encodedCopies * size, memory.limit / 2));
    const seen = token();
    const id = { ...(logId === undefined ? {} : { logId }), ...(seen === undefined ? {} : { token: seen }) };
    call.finishBare(json.write({ record: recordAt(cursor), ...id }));
    return;
  }
  const idField = logIdField(logIdTags.consume, logId, token());
  const envelope = Buffer.allocUnsafe(consumeResponseBytes(cursor, idField));
  writeConsumeResponse(envelope, 0, cursor, idField);
  call.finish(envelope);
}
