/** One ConsumeBatches stream from one node. */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { BatchSlice, Offset } from "../../types.ts";
import { faultOf } from "../calls/fault-of.ts";
import type { Attempt, CallOptions, RetryingCaller } from "../calls/retrying-caller.ts";
import { type ConsumeInit, uint64Of } from "../messages.ts";
import { consumeBatches, frameOf } from "../raw-batches.ts";
import { type Crc32, checkBatch } from "./record-batch.ts";

export interface BatchStreamOptions {
  readonly caller: RetryingCaller;
  readonly clock: Clock;
  readonly crc32: Crc32;
  /** The number of the log that is read. */
  readonly logNumber: number | undefined;
  /** The stream is closed if nothing arrives for this long, in milliseconds; infinite for no limit. */
  readonly idleMs: number;
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Nodes that failed or were idle. The node of this stream is added when the stream ends. */
  readonly avoid: Set<string>;
  /** Handles one batch with a valid CRC. The stream is not read while the promise is pending. */
  readonly onBatch: (slice: BatchSlice) => Promise<void> | undefined;
}

/** The node ended the stream without a fault. */
export const streamEnded = new Fault("unavailable", { message: "the node ended the stream" });

/** Reads batches from `offset` on. Returns why the stream ended; undefined if it was idle for too long. */
export async function readBatchStream(
  offset: Offset,
  freshness: ConsumeInit,
  options: BatchStreamOptions,
): Promise<Fault | undefined> {
  const { caller, clock, idleMs, avoid } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, options.signal]);
  let isIdle = false;
  const onIdle = (): void => {
    isIdle = true;
    stop.abort();
  };
  const startIdleTimer = (): (() => void) => {
    if (!Number.isFinite(idleMs)) return () => {};
    const timer = clock.after(idleMs, onIdle);
    return () => timer.cancel();
  };
  const call: CallOptions = {
    purpose: "read",
    effect: "read",
    deadlineMs: Number.POSITIVE_INFINITY,
    signal,
    avoid,
  };
  const request = { ...freshness, offset: uint64Of("offset", offset) };
  let addr: string | undefined;
  try {
    await caller.attempt(call, async (attempt) => {
      addr = attempt.addr;
      await receive(attempt, request, options, startIdleTimer);
    });
    if (addr !== undefined && !signal.aborted) caller.recordFault(addr, streamEnded, avoid);
    return streamEnded;
  } catch (reason) {
    if (!isIdle) return faultOf(reason, "read");
    if (addr !== undefined) avoid.add(addr);
    return undefined;
  } finally {
    stop.abort(); // the iterators of Connect have no return(), so only this frees the stream
  }
}

async function receive(
  { addr, transport, signal }: Attempt,
  request: ConsumeInit,
  { caller, crc32, logNumber, onBatch }: BatchStreamOptions,
  startIdleTimer: () => () => void,
): Promise<void> {
  let stopIdleTimer = startIdleTimer(); // before the first batch: a node without new records may not even send headers
  try {
    const response = await transport.stream(consumeBatches, signal, undefined, undefined, once(request));
    caller.responded();
    for await (const message of response.message) {
      stopIdleTimer();
      caller.picker.succeeded(addr);
      await onBatch(checkBatch(frameOf(message), crc32, logNumber));
      if (signal?.aborted === true) return;
      stopIdleTimer = startIdleTimer();
    }
  } finally {
    stopIdleTimer();
  }
}

async function* once<T>(item: T): AsyncGenerator<T, void, undefined> {
  yield item;
}
