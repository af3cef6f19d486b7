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
  /** Runs `callback` once, `delayMs` from now. The timer alone does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` once in the next turn of the event loop, after what is already waiting there. */
  soon(callback: () => void): void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  soon(callback) {
    setImmediate(callback);
  },
};

/** Resolves after `delayMs` of the given clock. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}
