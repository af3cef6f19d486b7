/**
 * The handlers of Produce, ProduceBatch, ProduceStream and ProduceBulk. Streams start their appends in order and
 * acknowledge them in order (methods/pipeline.ts).
 */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Log, ProduceBatchRequest, ProduceRequest } from "../../gen/log/v1/log_pb.js";
import type { Appended, LogId, Offset, RecordRun } from "../../types.ts";
import { signalOf, unlessAborted } from "../calls/abort.ts";
import { callOf, takenRun } from "../calls/call-context.ts";
import { forwardHeader } from "../calls/request-headers.ts";
import { appendFor } from "../methods/append.ts";
import { appendRequestOf } from "../methods/append-message.ts";
import { BulkSummary } from "../methods/bulk-summary.ts";
import { pipelined } from "../methods/pipeline.ts";
import { streamFailure } from "../methods/stream-failure.ts";
import { faultOfConnectError } from "./connect-error-mapping.ts";
import type { LogServiceOptions } from "./log-service-options.ts";

type ProduceMethod = "produce" | "produceBatch" | "produceStream" | "produceBulk";

/** Appends of one ProduceStream that are in progress at the same time. */
const streamPendingMax = 4096;
/** Batches of one ProduceBulk that are in progress at the same time. */
const bulkPendingMax = 64;

/** Creates the handlers of the methods that append. */
export function produceMethods(options: LogServiceOptions): Pick<ServiceImpl<typeof Log>, ProduceMethod> {
  return {
    async produce(request, context) {
      const { signal } = begin(context);
      const done = await append(options, request, context, signal);
      return produced(done, options);
    },

    async produceBatch(request, context) {
      const { signal } = begin(context);
      const done = await append(options, request, context, signal, takenRun(context, 0));
      return {
        firstOffset: BigInt(done.firstOffset),
        count: done.count,
        timestampMs: BigInt(done.timestampMs),
        duplicate: done.duplicate,
        ...idOf(done.logId, done.firstOffset + done.count, options),
      };
    },

    produceStream: (requests, context) => acknowledgements(options, requests, context),

    async produceBulk(requests, context) {
      const summary = new BulkSummary();
      for await (const done of bulkAppends(options, requests, context, summary)) summary.add(done);
      // Without a batch, the summary is about `default`.
      if (summary.batches === 0) options.logs.refFor(callOf(context), { log: "" });
      const { firstOffset, records, batches, nextOffset } = await summary.done(options.log);
      return {
        firstOffset: BigInt(firstOffset),
        records: BigInt(records),
        batches: BigInt(batches),
        nextOffset: BigInt(nextOffset),
        ...idOf(summary.logId, summary.nextOffset, options),
      };
    },
  };
}

async function* acknowledgements(
  options: LogServiceOptions,
  requests: AsyncIterable<ProduceRequest>,
  context: HandlerContext,
) {
  const { call, signal } = begin(context);
  call.order = { ended: false };
  let acknowledged = 0;
  const appends = pipelined(
    unlessStopped(requests, signal),
    (request) => append(options, request, context, signal),
    {
      pendingMax: streamPendingMax,
      budget: options.streamBudget,
      bytesOf: (request) => request.record?.value.length ?? 0,
      failure: (reason, behind) =>
        streamFailure(faultOfConnectError(reason), { records_before: acknowledged }, behind),
    },
  );
  for await (const done of appends) {
    acknowledged++;
    yield produced(done, options);
  }
}

function bulkAppends(
  options: LogServiceOptions,
  requests: AsyncIterable<ProduceBatchRequest>,
  context: HandlerContext,
  summary: BulkSummary,
): AsyncGenerator<Appended> {
  const { call, signal } = begin(context);
  call.order = { ended: false };
  return pipelined(
    withTaken(unlessStopped(requests, signal), context),
    ({ request, taken }) => append(options, request, context, signal, taken),
    {
      pendingMax: bulkPendingMax,
      budget: options.streamBudget,
      bytesOf: ({ request, taken }) =>
        taken?.bytes.length ?? request.records.reduce((sum, { value }) => sum + value.length, 0),
      failure: (reason, behind) => streamFailure(faultOfConnectError(reason), summary.progress, behind),
    },
  );
}

function begin(context: HandlerContext) {
  const call = callOf(context);
  return { call, signal: signalOf(call, context.signal) };
}

/** `taken` are the records that were taken out of the request before it was decoded. */
function append(
  options: LogServiceOptions,
  request: ProduceRequest | ProduceBatchRequest,
  context: HandlerContext,
  signal: AbortSignal,
  taken?: RecordRun,
): Promise<Appended> {
  const call = callOf(context);
  const forward = context.requestHeader.get(forwardHeader) !== "no";
  const log = options.logs.refFor(call, request);
  const toAppend = appendRequestOf(request, call.subject, options.recordLimits, log, taken);
  return appendFor(options, call, toAppend, forward, signal);
}

function produced(appended: Appended, options: LogServiceOptions) {
  const { firstOffset, timestampMs, duplicate } = appended;
  return {
    offset: BigInt(firstOffset),
    timestampMs: BigInt(timestampMs),
    duplicate,
    ...idOf(appended.logId, firstOffset + appended.count, options),
  };
}

/** The id of a named log, and the token of a session that has seen it up to `next`. */
function idOf(logId: LogId | undefined, next: Offset, { logs }: LogServiceOptions) {
  const id = logs.idText(logId);
  if (id === undefined) return {};
  const token = logs.tokenOf(logId, next);
  return token === undefined ? { logId: id } : { logId: id, token };
}

/** Ends the input with the fault of an abort. Appends that have started are acknowledged first. */
async function* unlessStopped<T>(inputs: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = inputs[Symbol.asyncIterator]();
  for (;;) {
    const step = await unlessAborted(iterator.next(), signal, "no");
    if (step.done) return;
    yield step.value;
  }
}

/** Adds to each request the records that were taken out of it before it was decoded. */
async function* withTaken<T>(
  requests: AsyncIterable<T>,
  context: HandlerContext,
): AsyncGenerator<{ readonly request: T; readonly taken: RecordRun | undefined }> {
  let number = 0;
  for await (const request of requests) yield { request, taken: takenRun(context, number++) };
}
