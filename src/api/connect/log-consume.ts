/**
 * The handlers of Consume, ConsumeStream and ConsumeBatches. A stream reads only as fast as its client takes records.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { FilteredTail } from "../../filter/mod.ts";
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
import { filteredRead, filterOf, markerMs, refuseFilter } from "../methods/tails/filtered-read.ts";
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
    refuseFilter(request.filter, "Consume");
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
  const { calls, logs, traffic } = options;
  return async function* (request, context) {
    const call = callOf(context);
    const signal = signalOf(call, context.signal);
    const plan = planOf(request, call.deadlineMs);
    const { log, logId, token } = await logs.openFor(call, request, { ...plan.freshness, signal });
    const filter = filterOf(request.filter);
    const read = filteredRead(await openRead(log, plan, signal), filter, options);
    calls.beginTail(call, { of: read.tail });
    const limit = new ReadLimit(read.limits);
    const id = idField(logId);
    const markers = request.markers || filter !== undefined;
    let next = read.from;
    /** The client knows the position at the end. */
    let isPlaced = false;
    const marker = (event: Marker): MessageInitShape<typeof ConsumeResponseSchema> => {
      const { end = next } = read.tail;
      const at = event === "caught-up" ? next : end;
      return {
        ...markerOf(event, at),
        ...id,
        ...tokenField(token()),
        ...filteredFields(read.filtered, next),
      };
    };
    traffic.tails++;
    try {
      if (filter !== undefined) yield marker("heartbeat");
      const reading = readOptionsOf(options, request, context, signal);
      for await (const event of readSlices(read, reading)) {
        if (typeof event === "string") {
          isPlaced = event !== "heartbeat";
          if (markers) yield marker(event);
          continue;
        }
        isPlaced = false;
        const cursor = new RecordCursor(event.frames, read.from, event.kept);
        while (cursor.next()) {
          if (!limit.take(event.frames, cursor.start, cursor.end, cursor.offset)) break;
          call.bytesOut += cursor.end - cursor.start;
          next = cursor.offset + 1;
          traffic.sent(1, cursor.end - cursor.start);
          yield { record: recordAt(cursor), ...id };
          reading.hold.progress(cursor.end - cursor.start);
        }
        if (limit.isSpent) break;
        if (event.kept !== undefined) next = event.nextOffset;
      }
      if (filter !== undefined && !isPlaced) yield marker("heartbeat");
    } finally {
      traffic.tails--;
    }
  };
}

function consumeBatches(options: LogServiceOptions): LogHandlers["consumeBatches"] {
  const { calls, logs, traffic } = options;
  return async function* (request, context) {
    const call = callOf(context);
    const signal = signalOf(call, context.signal);
    refuseFilter(request.filter, "ConsumeBatches");
    const isJson = /json/.test(context.requestHeader.get("content-type") ?? "");
    const plan = planOf(request, call.deadlineMs);
    const { log } = await logs.openFor(call, request, { ...plan.freshness, signal });
    const read = await openRead(log, plan, signal);
    calls.beginTail(call, { of: read.tail });
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
  const isFiltered = request.filter !== "";
  return {
    clock,
    signal,
    heartbeatMs: request.markers || isFiltered ? markerMs(heartbeatMs, isFiltered) : undefined,
    beatsBehind: true,
    sink: exchange,
    memory,
    hold: new ReadHold(memory, { keeps: true, cut: () => exchange.destroy() }),
  };
}

type Marker = "caught-up" | "heartbeat" | "suspended";

/** Where the reader is, if the read has a filter. */
const filteredFields = (
  filtered: FilteredTail | undefined,
  next: number,
): { nextOffset?: bigint; skipped?: bigint } =>
  filtered === undefined ? {} : { nextOffset: BigInt(next), skipped: BigInt(filtered.skipped) };

function markerOf(
  event: Marker,
  end: number,
): { caughtUp: boolean; heartbeat: boolean; suspended: boolean; endOffset: bigint } {
  return {
    caughtUp: event === "caught-up",
    heartbeat: event === "heartbeat",
    suspended: event === "suspended",
    endOffset: BigInt(end),
  };
}
