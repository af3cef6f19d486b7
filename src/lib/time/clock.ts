/**
 * The clock port, and the machine's own clock. The simulator has its own.
 *
 *   wall clock        what is stored in records, shown to people and compared with certificates. It can be wrong and
 *                     can jump, so no wait and no deadline goes by it.
 *   monotonic clock   every wait, deadline, age of a connection and duration. On Linux it does not count the time that
 *                     the machine was suspended, and neither do the timers: a deadline and its timer agree.
 *
 * The only file of the server that reads the time or sets a timer (test/house.test.ts).
 */

export interface Timer {
  /** The callback will not run any more. Harmless when it already ran. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970, whole. May jump, also backwards. */
  wallMs(): number;
  /** Milliseconds since some start, fractional. Never goes back. */
  monotonicMs(): number;
  /**
   * Runs `callback` once, `delayMs` from now. Any number is a delay: one below 0 and NaN are 0, and there is no longest
   * one (Infinity never fires). The timer alone does not keep the process alive, unless `hold` is true: for a caller that
   * is waited for while nothing else is open, such as a client between two attempts.
   */
  after(delayMs: number, callback: () => void, hold?: boolean): Timer;
  /** Runs `callback` once in the next turn of the event loop, after what is already waiting there. */
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

/** A delay that is longer than setTimeout can take is waited for in pieces. */
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

/** The result of `work`, or "late" when there is none after `limitMs`. Work that is late goes on, its result is dropped. */
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
