/**
 * The clock port, and the machine's own clock. The simulator has its own.
 *
 *   wall clock        times that are stored in records, shown to people or compared with certificates. It can be wrong
 *                     and can jump, so waits and deadlines do not use it.
 *   monotonic clock   every wait, deadline, connection age and duration. On Linux it does not count the time that the
 *                     machine was suspended, and neither do the timers: a deadline and its timer agree.
 *
 * The only file of the server that reads the time or sets a timer (test/house.test.ts).
 */

export interface Timer {
  /** Prevents the callback from running. Does nothing if it already ran. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970, whole. May jump, also backwards. */
  wallMs(): number;
  /** Milliseconds since an arbitrary start, fractional. Does not decrease. */
  monotonicMs(): number;
  /**
   * Runs `callback` once, `delayMs` from now. Any number is valid: negative numbers and NaN count as 0, there is no
   * maximum, and Infinity does not fire. The timer does not keep the process alive unless `hold` is true, for example
   * for a client between two attempts.
   */
  after(delayMs: number, callback: () => void, hold?: boolean): Timer;
  /** Runs `callback` once in the next turn of the event loop, after the callbacks that already wait there. */
  soon(callback: () => void): void;
}

/** In a browser setTimeout returns a number, which has no unref. */
type Handle = ReturnType<typeof setTimeout> & { unref?: () => unknown };

/** The longest delay of setTimeout. It runs a longer one after 1 ms. */
export const timeoutMsMax = 2 ** 31 - 1;

/** The machine's clock, in Node and in a browser. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: startTimer,
  soon(callback) {
    if (typeof setImmediate === "function") setImmediate(callback);
    else setTimeout(callback, 0);
  },
};

/** Splits a delay that is too long for setTimeout. */
function startTimer(delayMs: number, callback: () => void, hold = false): Timer {
  let handle: Handle;
  const wait = (leftMs: number): void => {
    const pieceMs = Math.min(leftMs, timeoutMsMax);
    handle = setTimeout(() => (leftMs > pieceMs ? wait(leftMs - pieceMs) : callback()), pieceMs);
    if (!hold) handle.unref?.();
  };
  wait(delayMs > 0 ? delayMs : 0);
  return { cancel: () => clearTimeout(handle) };
}

/** Resolves after `delayMs` of the given clock. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}

/** Returns the result of `work`, or "late" if it takes longer than `limitMs`. Late work continues; its result is dropped. */
export function within<T>(clock: Clock, work: Promise<T>, limitMs: number): Promise<T | "late"> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () => resolve("late"));
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (reason) => {
        timer.cancel();
        reject(reason);
      },
    );
  });
}
