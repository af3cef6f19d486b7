/**
 * Appends as the API does them, whichever protocol a request came by: options from the call, a span when traced, the
 * trace in the records when asked for, latency and bytes counted, and the deadline kept.
 */
import type { Tracer } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { type RecordLimits, runBytesMax, withHeader } from "../../log/mod.ts";
import type { Appended, AppendOptions, CommitLog, RecordRun } from "../../types.ts";
import { unlessAborted } from "../calls/abort.ts";
import type { Call } from "../calls/call-tracker.ts";
import type { Traffic } from "../calls/traffic.ts";
import { type AppendRequest, requireRecords } from "./append-request.ts";
import { pin } from "./logs/log-directory.ts";

/** What the API appends to. */
export interface AppendLog extends CommitLog {
  /**
   * Returns true if append() would append the whole run of a producer, were it called before the next await: the sequence is the
   * next one, and no record is a duplicate. So a stream may join messages to one append. False also if that is not known.
   * Default: false.
   */
  takesWhole?(run: RecordRun, options: AppendOptions): boolean;
}

export interface AppendContext {
  readonly log: AppendLog;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly tracer: Tracer;
  readonly recordLimits: RecordLimits;
  /** Largest message that is accepted, in bytes. */
  readonly requestBytesMax: number;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Returns the log's options for a call. `forward` false: fail with "not-leader" instead of forwarding to the leader. */
export function appendOptionsOf(
  call: Call,
  request: Omit<AppendRequest, "run">,
  forward: boolean,
  traceparent = call.telemetry.traceparent,
): AppendOptions {
  const { log, producer, stream, expectedOffset } = request;
  // No conditional spreads: each would allocate an object for every append.
  const options: Writable<AppendOptions> = { subject: call.subject };
  if (log !== undefined) options.log = log;
  if (producer !== undefined) options.producer = producer;
  if (stream !== undefined) options.stream = stream;
  if (expectedOffset !== undefined) options.expectedOffset = expectedOffset;
  if (call.deadlineMs !== undefined) options.deadlineMs = call.deadlineMs;
  if (traceparent !== undefined) options.traceparent = traceparent;
  if (call.order !== undefined) options.order = call.order;
  if (!forward) options.forward = false;
  return options;
}

/**
 * Appends, and resolves when the records are durable. An abort does not stop the append: its outcome is then "unknown".
 * @throws synchronously, Fault "bad-request" for an empty run, so that a stream starts nothing behind it
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

/** Appends and counts. The run is copied before this returns its promise. */
export async function appendTo(
  context: AppendContext,
  call: Call,
  request: AppendRequest,
  forward: boolean,
): Promise<Appended> {
  const { run } = request;
  const bytes = run.bytes.length;
  call.bytesIn += bytes;
  const startedMs = context.clock.monotonicMs();
  const appended = await (context.tracer.on || call.traceRecords
    ? appendTraced(context, call, request, forward)
    : context.log.append(run, appendOptionsOf(call, request, forward)));
  if (request.log !== undefined && appended.logId !== undefined) {
    pin(call, request.log.name, appended.logId);
  }
  if (!appended.duplicate)
    context.traffic.appended(run.count, bytes, context.clock.monotonicMs() - startedMs);
  return appended;
}

/** Size of a request without its records (producer, expected offset, log), in bytes. */
const requestOverheadBytes = 512;

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
    // A record that would be too large with the header is appended without it: tracing must not lose a record. A run
    // that is forwarded to the leader travels in a request, so the request limit applies too.
    const bytesMax = Math.min(runBytesMax, requestBytesMax - requestOverheadBytes);
    const stored =
      call.traceRecords && run.count > 0 && traceparent !== undefined
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
