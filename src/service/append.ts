/**
 * Appends as the service makes them: options out of the call, latency and bytes counted, the caller's patience kept.
 *
 * Never: encodes a record.
 */
import type { Clock } from "../lib/clock.ts";
import type { Appended, AppendOptions, CommitLog, ProducerStamp, RecordRun } from "../vocabulary.ts";
import { requireRecords } from "./append-message.ts";
import type { Call } from "./call.ts";
import { unlessAborted } from "./ending.ts";
import type { Traffic } from "./traffic.ts";

export interface AppendDesk {
  readonly log: CommitLog;
  readonly clock: Clock;
  readonly traffic: Traffic;
}

export interface AppendRequest {
  readonly run: RecordRun;
  readonly producer?: ProducerStamp | undefined;
  readonly expectedOffset?: number | undefined;
  /** False: answer "not-leader" rather than forward. */
  readonly forward?: boolean;
}

/** The log's options for a call. */
export function appendOptionsOf(call: Call, request: Omit<AppendRequest, "run">): AppendOptions {
  const { producer, expectedOffset } = request;
  const { traceparent } = call.telemetry;
  return {
    subject: call.subject,
    ...(producer === undefined ? {} : { producer }),
    ...(expectedOffset === undefined ? {} : { expectedOffset }),
    ...(call.deadlineMs === undefined ? {} : { deadlineMs: call.deadlineMs }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(request.forward === false ? { forward: false as const } : {}),
  };
}

/** Appends, and resolves when durable. An abort leaves the append under way: then the outcome is "unknown". */
export async function appendFor(
  desk: AppendDesk,
  call: Call,
  request: AppendRequest,
  signal: AbortSignal | undefined,
): Promise<Appended> {
  const { run } = request;
  requireRecords(run);
  const bytes = run.bytes.length;
  call.bytesIn += bytes;
  const began = desk.clock.monotonicMs();
  const work = desk.log.append(run, appendOptionsOf(call, request));
  const appended = await (signal === undefined ? work : unlessAborted(work, signal, "unknown"));
  if (!appended.duplicate) desk.traffic.appended(run.count, bytes, desk.clock.monotonicMs() - began);
  return appended;
}
