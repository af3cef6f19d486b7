/**
 * Waiting that ends: for a while, or until a signal says so.
 *
 * Never: leaves a timer or a listener behind.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";

/** Resolves after `delayMs`, or at once when the signal is aborted. Keeps the process alive meanwhile. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(delayMs, end, true);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/**
 * What `work` comes to, within `delayMs` and while the signal lets it; else Fault "deadline" or what the abort means.
 * The work itself goes on.
 */
export function within<T>(
  clock: Clock,
  work: Promise<T>,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(canceled(signal));
    const end = (): void => {
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    const onAbort = (): void => {
      end();
      reject(canceled(signal!));
    };
    const onLate = (): void => {
      end();
      reject(new Fault("deadline"));
    };
    const timer = Number.isFinite(delayMs) ? clock.after(delayMs, onLate, true) : undefined;
    signal?.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(end);
  });
}

/** A deadline further away than this is not a point on the monotonic clock. */
const deadlineAheadMsMax = 10 * 365 * 86_400_000;

/**
 * The deadline itself, where it can be a point on the monotonic clock.
 * @throws Fault "bad-request" for NaN, and for a wall-clock time, which is decades ahead and would never come
 */
export function checkDeadline(clock: Clock, deadlineMs: number): number {
  if (deadlineMs === Number.POSITIVE_INFINITY || deadlineMs - clock.monotonicMs() <= deadlineAheadMsMax)
    return deadlineMs;
  throw new Fault("bad-request", {
    message: `deadlineMs ${deadlineMs} is not a point on the monotonic clock (performance.now)`,
    facts: { field: "deadlineMs" },
  });
}

/** Several signals as one, undefined ones left out. */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal | undefined {
  const given = signals.filter((signal) => signal !== undefined);
  return given.length > 1 ? AbortSignal.any(given) : given[0];
}

/**
 * What a caller's call rejects with: the reason of its own signal when that ended the call and nothing was written, as
 * everywhere on the web; else the fault.
 */
export function reasonOf(fault: Fault, signal: AbortSignal | undefined): unknown {
  const isOwn = signal?.aborted === true && fault.kind === "canceled" && fault.written === "no";
  return isOwn && fault.cause === signal.reason ? signal.reason : fault;
}

/** The fault of an abort. Its cause is the reason of the signal. */
export function canceled(signal: AbortSignal): Fault {
  const { reason } = signal;
  return reason instanceof Fault ? reason : new Fault("canceled", { cause: reason });
}
