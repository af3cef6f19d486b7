/**
 * Appends as the service makes them, whichever lane they came by: options out of the call, a span where traced, the
 * trace put into the records where asked for, latency and bytes counted, the caller's patience kept.
 *
 * Never: encodes a record.
 */

import type { Tracer } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { type RecordLimits, runBytesMax, withHeader } from "../../log/mod.ts";
import type { Appended, AppendOptions, CommitLog, ProducerStamp, RecordRun } from "../../types.ts";
import { unlessAborted } from "../calls/abort.ts";
import type { Call } from "../calls/call-tracker.ts";
import type { Traffic } from "../calls/traffic.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { requireRecords } from "./append-message.ts";

export interface AppendContext {
  readonly log: CommitLog;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly tracer: Tracer;
  readonly recordLimits: RecordLimits;
  readonly requestBytesMax: number;
}

export interface AppendRequest {
  readonly run: RecordRun;
  readonly producer?: ProducerStamp | undefined;
  readonly expectedOffset?: number | undefined;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** The log's options for a call. `forward` false: answer "not-leader" rather than forward. */
export function appendOptionsOf(
  call: Call,
  request: Omit<AppendRequest, "run">,
  forward: boolean,
  traceparent = call.telemetry.traceparent,
): AppendOptions {
  const { producer, expectedOffset } = request;
  // Without spreads of conditions: they would make an object each, for every append.
  const options: Writable<AppendOptions> = { subject: call.subject };
  if (producer !== undefined) options.producer = producer;
  if (expectedOffset !== undefined) options.expectedOffset = expectedOffset;
  if (call.deadlineMs !== undefined) options.deadlineMs = call.deadlineMs;
  if (traceparent !== undefined) options.traceparent = traceparent;
  if (call.order !== undefined) options.order = call.order;
  if (!forward) options.forward = false;
  return options;
}

/**
 * Appends, and resolves when durable. An abort leaves the append under way: then the outcome is "unknown". Throws what is
 * wrong with the request itself, before anything behind it is begun.
 */
export function appendFor(
  context: AppendContext,
  call: Call,
  request: AppendRequest,
  forward: boolean,
  signal: AbortSignal | undefined,
): Promise<Appended> {
  requireRecords(request.run);
  const work = appendTo(context, call, request, forward);
  return signal === undefined ? work : unlessAborted(work, signal, "unknown");
}

/** Appends and counts. The run's memory is the caller's again once this has returned its promise. */
export async function appendTo(
  context: AppendContext,
  call: Call,
  request: AppendRequest,
  forward: boolean,
): Promise<Appended> {
  const { run } = request;
  const bytes = run.bytes.length;
  call.bytesIn += bytes;
  const began = context.clock.monotonicMs();
  const appended = await (context.tracer.on || call.traceRecords
    ? appendTraced(context, call, request, forward)
    : context.log.append(run, appendOptionsOf(call, request, forward)));
  if (!appended.duplicate) context.traffic.appended(run.count, bytes, context.clock.monotonicMs() - began);
  return appended;
}

async function appendTraced(
  { tracer, log, recordLimits, requestBytesMax }: AppendContext,
  call: Call,
  request: AppendRequest,
  forward: boolean,
): Promise<Appended> {
  const { run } = request;
  const attributes = { "tailrace.records": run.count, "tailrace.bytes": run.bytes.length };
  const span = tracer.span("append", { parent: call.telemetry.traceparent, attributes });
  const { traceparent } = span;
  try {
    // What would be refused for its header is appended without: a trace must not cost a record. (On its way to the
    // leader a run travels as a request.)
    const bytesMax = Math.min(runBytesMax, requestBytesMax - requestSlackBytes);
    const stored =
      call.traceRecords && traceparent !== undefined
        ? withHeader(run, "traceparent", traceparent, recordLimits.recordBytesMax, bytesMax)
        : run;
    const appended = await log.append(stored, appendOptionsOf(call, request, forward, traceparent));
    span.set("tailrace.offset", appended.firstOffset);
    span.end();
    return appended;
  } catch (reason) {
    span.end(reason);
    throw reason;
  }
}

/** What a request holds besides its records: a producer, an expectation. */
const requestSlackBytes = 64;
