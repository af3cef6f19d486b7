/** One stream of a tail, from one node. It is closed by its owner, and when nothing arrives for too long. */
import type { Fault, FaultKind } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { faultOf } from "../calls/fault-of.ts";
import type { Attempt, CallOptions, RetryingCaller } from "../calls/retrying-caller.ts";

export interface StreamOptions {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  /** The stream is closed if nothing arrives for this long, in milliseconds; infinite for no limit. */
  readonly idleMs: number;
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Nodes that failed or were idle. The node of this stream is added when the stream fails. */
  readonly avoid: Set<string>;
}

/** Why a stream ended: the node said that there is nothing more, nothing arrived for too long, or a fault. */
export type StreamEnd = "end" | "idle" | Fault;

/** With these faults of a stream, every other node would respond in the same way. */
export const finalKinds: readonly FaultKind[] = [
  "unreachable",
  "out-of-range",
  "bad-request",
  "unauthenticated",
  "permission-denied",
  "not-found",
  "unimplemented",
  "failed-precondition",
  "unsupported-version",
];
/** A stream that was open for this long was not a failure, even if nothing arrived. */
export const goodStreamMs = 5_000;

/**
 * Reads one stream to its end. It is not read while the promise of `onMessage` is pending. Resolves also with the address of
 * the node, if one was chosen.
 */
export async function readStream<T>(
  options: StreamOptions,
  open: (attempt: Attempt) => AsyncIterable<T> | Promise<AsyncIterable<T>>,
  onMessage: (message: T) => Promise<void> | undefined,
): Promise<{ readonly why: StreamEnd; readonly addr: string | undefined }> {
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
  const receive = async (attempt: Attempt): Promise<void> => {
    addr = attempt.addr;
    let stopIdleTimer = startIdleTimer(); // before the first message: a node without new records may not even send headers
    try {
      for await (const message of await open(attempt)) {
        stopIdleTimer();
        caller.responded();
        caller.picker.succeeded(attempt.addr);
        await onMessage(message);
        if (attempt.signal?.aborted === true) return;
        stopIdleTimer = startIdleTimer();
      }
    } finally {
      stopIdleTimer();
    }
  };
  try {
    await caller.attempt(call, receive);
    return { why: "end", addr };
  } catch (reason) {
    if (!isIdle) return { why: faultOf(reason, "read"), addr };
    if (addr !== undefined) avoid.add(addr);
    return { why: "idle", addr };
  } finally {
    stop.abort(); // the iterators of Connect have no return(), so only this frees the stream
  }
}
