/** Waits that a signal can end. Neither leaves a timer or a listener behind. */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { canceledFault } from "./abort-signals.ts";

/** Resolves after `delayMs`, or at once when the signal is aborted. The timer keeps the process alive. */
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
 * Settles as `work` does. The work itself is not stopped.
 * @throws Fault "deadline" after `delayMs` (which can be infinite), and the fault of the abort when `signal` is aborted
 */
export function within<T>(
  clock: Clock,
  work: Promise<T>,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(canceledFault(signal));
    const end = (): void => {
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    const onAbort = (): void => {
      end();
      reject(canceledFault(signal!));
    };
    const onTimeout = (): void => {
      end();
      reject(new Fault("deadline"));
    };
    const timer = Number.isFinite(delayMs) ? clock.after(delayMs, onTimeout, true) : undefined;
    signal?.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(end);
  });
}
