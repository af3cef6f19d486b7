/**
 * The RPCs of log.v1.Log on Connect: the reference for the fast path.
 *
 * Handlers throw Faults; rpc-routes.ts makes errors of them. Access was checked before a message was read.
 *
 * Never: speaks a wire protocol, polls.
 */
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import {
  type ConsumeRequest,
  type ConsumeResponseSchema,
  type Log,
  type ProduceBatchRequest,
  type ProduceRequest,
  type RecordBatch,
  RecordBatchSchema,
} from "../../gen/log/v1/log_pb.js";
import type { Tracer } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { frameBytes, frameRecordCount, prefixBytes, RecordCursor, type RecordLimits } from "../../log/mod.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { Appended, ClusterView, CommitLog, RecordRun } from "../../types.ts";
import { signalOf, unlessAborted } from "../calls/abort.ts";
import { callOf, requestContextOf, takenRun } from "../calls/call-context.ts";
import type { Call } from "../calls/call-tracker.ts";
import { forwardHeader } from "../calls/request-headers.ts";
import type { Traffic } from "../calls/traffic.ts";
import { appendFor, appendOptionsOf } from "../methods/append.ts";
import { appendRequestOf } from "../methods/append-message.ts";
import { BulkSummary } from "../methods/bulk-summary.ts";
import { describe } from "../methods/describe.ts";
import { frameLimit } from "../methods/frame-limit.ts";
import { freshnessOf, numberOf, planOf, recordAt, startOf } from "../methods/messages.ts";
import { pipelined } from "../methods/pipeline.ts";
import { openRead, type ReadOptions, readSlices } from "../methods/read.ts";
import { memoryWaitMs, ReadHold } from "../methods/read-admission.ts";
import { ReadLimit } from "../methods/read-limit.ts";
import { readOne } from "../methods/read-one.ts";
import type { StreamBudget } from "../methods/stream-budget.ts";
import { streamFailure } from "../methods/stream-failure.ts";
import { watch } from "../methods/watch.ts";
import { sentBytesMax } from "../request-limits/message-limits.ts";
import { faultOfConnectError } from "./connect-error-mapping.ts";

export interface LogServiceOptions {
  readonly log: CommitLog;
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly tracer: Tracer;
  readonly recordLimits: RecordLimits;
  readonly requestBytesMax: number;
  readonly streamBudget: StreamBudget;
  readonly clusterVersion: string;
  readonly memory: MemoryBudget;
  /** How often a stream that asked for markers hears that it is alive. */
  readonly heartbeatMs: number;
}

/** Times that a record exists while Connect encodes it: as stored, as JSON's text, and as the message's bytes. */
const encodedCopies = 3;
/** Appends of one stream under way at once. */
const pendingMax = 4096;

export function logService(options: LogServiceOptions): ServiceImpl<typeof Log> {
  const { log, cluster, traffic, recordLimits, memory } = options;

  const append = (
    call: Call,
    request: ProduceRequest | ProduceBatchRequest,
    context: HandlerContext,
    signal: AbortSignal | undefined,
    taken?: RecordRun,
  ): Promise<Appended> => {
    const forward = context.requestHeader.get(forwardHeader) !== "no";
    const asked = appendRequestOf(request, call.subject, recordLimits, taken);
    return appendFor(options, call, asked, forward, signal);
  };

  const readOptions = (
    request: ConsumeRequest,
    context: HandlerContext,
    signal: AbortSignal,
  ): ReadOptions => {
    const { exchange } = requestContextOf(context);
    return {
      clock: options.clock,
      signal,
      heartbeatMs: request.markers ? options.heartbeatMs : undefined,
      sink: exchange,
      memory,
      hold: new ReadHold(memory, { keeps: true, cut: () => exchange.destroy() }),
    };
  };

  return {
    async produce(request, context) {
      const call = callOf(context);
      const done = await append(call, request, context, signalOf(call, context.signal));
      return {
        offset: BigInt(done.firstOffset),
        timestampMs: BigInt(done.timestampMs),
        duplicate: done.duplicate,
      };
    },

    async produceBatch(request, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      const done = await append(call, request, context, signal, takenRun(context, 0));
      return {
        firstOffset: BigInt(done.firstOffset),
        count: done.count,
        timestampMs: BigInt(done.timestampMs),
        duplicate: done.duplicate,
      };
    },

    async *produceStream(requests, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      call.order = { ended: false };
      let acknowledged = 0;
      const acks = pipelined(
        unlessStopped(requests, signal),
        (request) => append(call, request, context, signal),
        {
          pendingMax,
          budget: options.streamBudget,
          bytesOf: (request) => request.record?.value.length ?? 0,
          failure: (reason, behind) =>
            streamFailure(faultOfConnectError(reason), { records_before: acknowledged }, behind),
        },
      );
      for await (const done of acks) {
        acknowledged++;
        yield {
          offset: BigInt(done.firstOffset),
          timestampMs: BigInt(done.timestampMs),
          duplicate: done.duplicate,
        };
      }
    },

    async produceBulk(requests, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      call.order = { ended: false };
      const summary = new BulkSummary();
      const acks = pipelined(
        withTaken(unlessStopped(requests, signal), context),
        ({ request, taken }) => append(call, request, context, signal, taken),
        {
          pendingMax: 64,
          budget: options.streamBudget,
          bytesOf: ({ request, taken }) =>
            taken?.bytes.length ?? request.records.reduce((sum, { value }) => sum + value.length, 0),
          failure: (reason, behind) => streamFailure(faultOfConnectError(reason), summary.progress, behind),
        },
      );
      for await (const done of acks) summary.add(done);
      const { firstOffset, records, batches, nextOffset } = await summary.done(log);
      return {
        firstOffset: BigInt(firstOffset),
        records: BigInt(records),
        batches: BigInt(batches),
        nextOffset: BigInt(nextOffset),
      };
    },

    async consume(request, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      call.long = request.waitMs > 0;
      const freshness = { ...freshnessOf(request, call.deadlineMs), signal };
      const plan = { start: startOf(request), waitMs: request.waitMs, freshness };
      const { exchange: sink, answer } = requestContextOf(context);
      const room = { sink, memory, clock: options.clock, signal, share: answer, waitMs: memoryWaitMs };
      const { slice, offset } = await readOne(log, plan, room);
      const cursor = new RecordCursor(slice.frames, offset);
      cursor.next();
      answer.hold(Math.min(encodedCopies * (cursor.end - cursor.start), memory.limit / 2));
      call.bytesOut += cursor.end - cursor.start;
      traffic.sent(1, cursor.end - cursor.start);
      return { record: recordAt(cursor) };
    },

    async *consumeStream(request, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      const read = await openRead(log, planOf(request, call.deadlineMs), signal);
      const limit = new ReadLimit(read.limits);
      let next = read.from;
      traffic.tails++;
      try {
        const reading = readOptions(request, context, signal);
        for await (const event of readSlices(read, reading)) {
          if (typeof event === "string") {
            if (request.markers) yield markerOf(event, next);
            continue;
          }
          const cursor = new RecordCursor(event.frames, read.from);
          while (cursor.next()) {
            if (!limit.take(event.frames, cursor.start, cursor.end, cursor.offset)) break;
            call.bytesOut += cursor.end - cursor.start;
            next = cursor.offset + 1;
            traffic.sent(1, cursor.end - cursor.start);
            yield { record: recordAt(cursor) };
            reading.hold.progress(cursor.end - cursor.start);
          }
          if (limit.isSpent) return;
        }
      } finally {
        traffic.tails--;
      }
    },

    async *consumeBatches(request, context) {
      const call = callOf(context);
      const signal = signalOf(call, context.signal);
      const binary = !/json/.test(context.requestHeader.get("content-type") ?? "");
      const read = await openRead(log, planOf(request, call.deadlineMs), signal);
      const limit = new ReadLimit(read.limits);
      traffic.tails++;
      try {
        const reading = { ...readOptions(request, context, signal), heartbeatMs: undefined };
        for await (const event of readSlices(read, reading)) {
          if (typeof event === "string") continue;
          const run = frameLimit(event, read.from, limit);
          call.bytesOut += run.bytes.length;
          traffic.sent(run.records, run.bytes.length);
          for (const { message, records } of messagesOf(run.bytes)) {
            yield binary ? verbatim(message) : decoded(message, records);
            reading.hold.progress(message.length);
          }
          if (limit.isSpent) return;
        }
      } finally {
        traffic.tails--;
      }
    },

    async getServers() {
      await cluster.fresh?.();
      const servers = cluster.nodes().map((node) => ({
        id: node.id,
        rpcAddr: node.rpcAddr,
        isLeader: node.isLeader,
        term: BigInt(node.term),
        role: node.role,
        lastOffset: BigInt(node.lastOffset),
        lag: BigInt(node.lag),
        healthy: node.healthy,
        lastContactMs: BigInt(Math.max(0, Math.round(node.lastContactMs))),
      }));
      return { servers };
    },

    describe: () => describe(log, cluster, options.clusterVersion),

    async trim(request, context) {
      const call = callOf(context);
      const before = numberOf(request.beforeOffset, "before_offset");
      const forward = context.requestHeader.get(forwardHeader) !== "no";
      const work = log.trim(before, appendOptionsOf(call, {}, forward));
      return { lowestOffset: BigInt(await unlessAborted(work, signalOf(call, context.signal), "unknown")) };
    },

    watch(request, context) {
      const call = callOf(context);
      return watch(options, request.intervalMs, signalOf(call, context.signal));
    },
  };
}

/** Ends the input with the fault of an abort: what was begun is answered first. */
async function* unlessStopped<T>(inputs: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = inputs[Symbol.asyncIterator]();
  for (;;) {
    const step = await unlessAborted(iterator.next(), signal, "no");
    if (step.done) return;
    yield step.value;
  }
}

/** Each request with the records that were taken out of it before it was decoded. */
async function* withTaken<T>(
  requests: AsyncIterable<T>,
  context: HandlerContext,
): AsyncGenerator<{ readonly request: T; readonly taken: RecordRun | undefined }> {
  let number = 0;
  for await (const request of requests) yield { request, taken: takenRun(context, number++) };
}

function markerOf(
  event: "caught-up" | "heartbeat",
  next: number,
): MessageInitShape<typeof ConsumeResponseSchema> {
  return { caughtUp: event === "caught-up", heartbeat: event === "heartbeat", endOffset: BigInt(next) };
}

/** The messages of `frame*`, without their prefixes. */
function* messagesOf(frames: Uint8Array): Generator<{ message: Uint8Array; records: number }> {
  for (let at = 0; at < frames.length; at += frameBytes(frames, at)) {
    const message = frames.subarray(at + prefixBytes, at + frameBytes(frames, at));
    yield { message, records: frameRecordCount(frames, at) };
  }
}

/** `{"value":"","offset":"0","term":"0","type":0,"key":"","headers":[],"timestampMs":"0"},` */
const jsonRecordBytesMin = 84;

/** A batch for JSON. One that is too large for a message in any case is refused before it is decoded. */
function decoded(message: Uint8Array, records: number): RecordBatch {
  if (records * jsonRecordBytesMin <= sentBytesMax) return fromBinary(RecordBatchSchema, message);
  throw new Fault("too-large", {
    message: `a batch of ${records} records is more than ${sentBytesMax} bytes in JSON, read it in binary or by ConsumeStream`,
    facts: { limit: sentBytesMax },
  });
}

/**
 * A batch whose encoding is exactly these bytes: protobuf-es writes unknown fields as they came, so the whole message
 * is handed to it as one of them. Decoding it and encoding it again would drop the zeros that stand on disk.
 */
function verbatim(message: Uint8Array): RecordBatch {
  const batch = create(RecordBatchSchema);
  const tag = message[0]!;
  batch.$unknown = [{ no: tag >>> 3, wireType: tag & 7, data: message.subarray(1) }];
  return batch;
}
