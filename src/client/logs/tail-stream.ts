/** One TailLogs stream from one node. */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Logs, type TailLogsResponse } from "../../gen/log/v1/log_pb.js";
import type { Clock } from "../../lib/time/clock.ts";
import { faultOf } from "../calls/fault-of.ts";
import type { Attempt, CallOptions, RetryingCaller } from "../calls/retrying-caller.ts";

export interface TailRequest {
  readonly names: string[];
  readonly logIds: string[];
  readonly prefix?: string;
  readonly resume: string;
  readonly fromStart: boolean;
}

export interface TailStreamOptions {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  /** The stream is closed if nothing arrives for this long, in milliseconds; infinite for no limit. */
  readonly idleMs: number;
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Nodes that failed or were idle. The node of this stream is added when the stream fails. */
  readonly avoid: Set<string>;
  /** Handles one response. The stream is not read while the promise is pending. */
  readonly onResponse: (response: TailLogsResponse) => Promise<void> | undefined;
}

/** Why a stream ended: the node said that there is nothing more, nothing arrived for too long, or a fault. */
export type StreamEnd = "end" | "idle" | Fault;

export async function readTailStream(request: TailRequest, options: TailStreamOptions): Promise<StreamEnd> {
  const { caller, clock, idleMs, avoid } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, options.signal]);
  let isIdle = false;
  const startIdleTimer = (): (() => void) => {
    if (!Number.isFinite(idleMs)) return () => {};
    const timer = clock.after(idleMs, () => {
      isIdle = true;
      stop.abort();
    });
    return () => timer.cancel();
  };
  const deadlineMs = Number.POSITIVE_INFINITY;
  const call: CallOptions = { purpose: "read", effect: "read", deadlineMs, signal, avoid };
  let addr: string | undefined;
  try {
    await caller.attempt(call, async (attempt) => {
      addr = attempt.addr;
      await receive(attempt, request, options, startIdleTimer);
    });
    return "end";
  } catch (reason) {
    if (!isIdle) return faultOf(reason, "read");
    if (addr !== undefined) avoid.add(addr);
    return "idle";
  } finally {
    stop.abort(); // the iterators of Connect have no return(), so only this frees the stream
  }
}

async function receive(
  { addr, transport, signal }: Attempt,
  request: TailRequest,
  { caller, onResponse }: TailStreamOptions,
  startIdleTimer: () => () => void,
): Promise<void> {
  let stopIdleTimer = startIdleTimer();
  try {
    const stream = createClient(Logs, transport).tailLogs(request, signal === undefined ? {} : { signal });
    for await (const response of stream) {
      stopIdleTimer();
      caller.responded();
      caller.picker.succeeded(addr);
      await onResponse(response);
      if (signal?.aborted === true) throw new Fault("canceled");
      stopIdleTimer = startIdleTimer();
    }
  } finally {
    stopIdleTimer();
  }
}
