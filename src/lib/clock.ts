/**
 * The clock port, and the machine's own clock. The simulator hands out its own.
 *
 * Never: decides anything. The only file that reads the time or sets a timer.
 */

export interface Timer {
  /** The callback will not run any more. Harmless when it already did. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970, whole. May jump, also backwards. */
  wallMs(): number;
  /** Milliseconds since some start, fractional. Never goes back. */
  monotonicMs(): number;
  /**
   * Runs `callback` once, `delayMs` from now. The timer alone does not keep the process alive, unless `hold` is true:
   * for a caller that is waited for while nothing else is open, as a client between two attempts.
   */
  after(delayMs: number, callback: () => void, hold?: boolean): Timer;
  /** Runs `callback` once in the next turn of the event loop, after what is already waiting there. */
  soon(callback: () => void): void;
}

/** What setTimeout answers in a browser is a number: nothing there to let go of. */
type Handle = ReturnType<typeof setTimeout> & { unref?: () => unknown };

/** The machine's clock, in Node and in a browser. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback, hold = false) {
    const handle: Handle = setTimeout(callback, delayMs);
    if (!hold) handle.unref?.();
    return { cancel: () => clearTimeout(handle) };
  },
  soon(callback) {
    if (typeof setImmediate === "function") setImmediate(callback);
    else setTimeout(callback, 0);
  },
};

/** Resolves after `delayMs` of the given clock. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}

/** What `work` comes to, or "late" when it has come to nothing after `limitMs`; then it goes on unheard. */
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
