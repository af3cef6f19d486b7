/**
 * The handlers of Consume, ConsumeStream and ConsumeBatches. A stream reads only as fast as its client takes records.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { ConsumeRequest, ConsumeResponseSchema, Log } from "../../gen/log/v1/log_pb.js";
import { RecordCursor } from "../../log/mod.ts";
import { signalOf } from "../calls/abort.ts";
import { callOf, requestContextOf } from "../calls/call-context.ts";
import { frameLimit } from "../methods/frame-limit.ts";
import { freshnessOf, planOf, recordAt, startOf } from "../methods/messages.ts";
import { openRead, type ReadOptions, readSlices } from "../methods/read.ts";
import { memoryWaitMs, ReadHold } from "../methods/read-admission.ts";
import { ReadLimit } from "../methods/read-limit.ts";
import { readOne } from "../methods/read-one.ts";
import { decodedBatch, encodedBatch, messagesOf } from "./batch-messages.ts";
import type { LogServiceOptions } from "./log-service-options.ts";

type LogHandlers = ServiceImpl<typeof Log>;

/** Copies of a record while Connect encodes it: the stored bytes, the JSON text and the bytes of the message. */
const encodedCopies = 3;

/** Creates the handlers of the methods that read records. */
export function consumeMethods(
  options: LogServiceOptions,
): Pick<LogHandlers, "consume" | "consumeStream" | "consumeBatches"> {
  return {
    consume: consume(options),
    consumeStream: consumeStream(options),
    consumeBatches: consumeBatches(options),
  };
}

function consume(options: LogServiceOptions): LogHandlers["consume"] {
  const { logs, traffic, memory, clock } = options;
  return async (request, context) => {
    const call = callOf(context);
    const signal = signalOf(call, context.signal);
    call.long = request.waitMs > 0;
    const freshness = { ...freshnessOf(request, call.deadlineMs), signal };
    const plan = { start: startOf(request), waitMs: request.waitMs, freshness };
    const { log, logId, token } = await logs.openFor(call, request, freshness);
    const { exchange: sink, responseMemory } = requestContextOf(context);
    const admission = { sink, memory, clock, signal, share: responseMemory, waitMs: memoryWaitMs };
    const { slice, offset } = await readOne(log, plan, admission);
    const cursor = new RecordCursor(slice.frames, offset);
    cursor.next();
    responseMemory.hold(Math.min(encodedCopies * (cursor.end - cursor.start), memory.limit / 2));
    call.bytesOut += cursor.end - cursor.start;
    traffic.sent(1, cursor.end - cursor.start);
    return { record: recordAt(cursor), ...idField(logId), ...tokenField(token()) };
  };
}

function consumeStream(options: LogServiceOptions): LogHandlers["consumeStream"] {
  const { logs, traffic } = options;
  return async function* (request, context) {
    const call = callOf(context);
    const signal = signalOf(call, context.signal);
    const plan = planOf(request, call.deadlineMs);
    const { log, logId, token } = await logs.openFor(call, request, { ...plan.freshness, signal });
    const read = await openRead(log, plan, signal);
    const limit = new ReadLimit(read.limits);
    const id = idField(logId);
    let next = read.from;
    traffic.tails++;
    try {
      const reading = readOptionsOf(options, request, context, signal);
      for await (const event of readSlices(read, reading)) {
        if (typeof event === "string") {
          const { end = next } = read.tail;
          const at = event === "heartbeat" ? end : next;
          if (request.markers) yield { ...markerOf(event, at), ...id, ...tokenField(token()) };
          continue;
        }
        const cursor = new RecordCursor(event.frames, read.from);
        while (cursor.next()) {
          if (!limit.take(event.frames, cursor.start, cursor.end, cursor.offset)) break;
          call.bytesOut += cursor.end - cursor.start;
          next = cursor.offset + 1;
          traffic.sent(1, cursor.end - cursor.start);
          yield { record: recordAt(cursor), ...id };
          reading.hold.progress(cursor.end - cursor.start);
        }
        if (limit.isSpent) return;
      }
    } finally {
      traffic.tails--;
    }
  };
}

function consumeBatches(options: LogServiceOptions): LogHandlers["consumeBatches"] {
  const { logs, traffic } = options;
  return async function* (request, context) {
    const call = callOf(context);
    const signal = signalOf(call, context.signal);
    const isJson = /json/.test(context.requestHeader.get("content-type") ?? "");
    const plan = planOf(request, call.deadlineMs);
    const { log } = await logs.openFor(call, request, { ...plan.freshness, signal });
    const read = await openRead(log, plan, signal);
    const limit = new ReadLimit(read.limits);
    traffic.tails++;
    try {
      const reading = { ...readOptionsOf(options, request, context, signal), heartbeatMs: undefined };
      for await (const event of readSlices(read, reading)) {
        if (typeof event === "string") continue;
        const run = frameLimit(event, read.from, limit);
        call.bytesOut += run.bytes.length;
        traffic.sent(run.records, run.bytes.length);
        for (const { message, records } of messagesOf(run.bytes)) {
          yield isJson ? decodedBatch(message, records) : encodedBatch(message);
          reading.hold.progress(message.length);
        }
        if (limit.isSpent) return;
      }
    } finally {
      traffic.tails--;
    }
  };
}

const idField = (logId: string | undefined): { logId?: string } => (logId === undefined ? {} : { logId });

const tokenField = (token: string | undefined): { token?: string } => (token === undefined ? {} : { token });

function readOptionsOf(
  { clock, memory, heartbeatMs }: LogServiceOptions,
  request: ConsumeRequest,
  context: HandlerContext,
  signal: AbortSignal,
): ReadOptions {
  const { exchange } = requestContextOf(context);
  return {
    clock,
    signal,
    heartbeatMs: request.markers ? heartbeatMs : undefined,
    beatsBehind: true,
    sink: exchange,
    memory,
    hold: new ReadHold(memory, { keeps: true, cut: () => exchange.destroy() }),
  };
}

function markerOf(
  event: "caught-up" | "heartbeat",
  end: number,
): MessageInitShape<typeof ConsumeResponseSchema> {
  return { caughtUp: event === "caught-up", heartbeat: event === "heartbeat", endOffset: BigInt(end) };
}
