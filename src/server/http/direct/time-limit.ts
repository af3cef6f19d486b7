/** What a connection waits for, with its time limit. Beginning again is cheap: the timer finds out when it fires. */
import type { Clock, Timer } from "../../../lib/time/clock.ts";

export class TimeLimit {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  #sinceMs = 0;
  #limitMs = Infinity;
  #timer: Timer | undefined;
  #timerMs = Infinity;

  /** `onExpired` is called when a time limit has passed. It should begin the next one or end the connection. */
  constructor(clock: Clock, onExpired: () => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** The time limit that was begun last, in milliseconds. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /** Begins a time limit, in place of the one before. */
  begin(limitMs: number): void {
    this.#sinceMs = this.#clock.monotonicMs();
    this.#limitMs = limitMs;
    if (this.#sinceMs + limitMs < this.#timerMs) this.#arm(limitMs);
  }

  /** No call follows. */
  close(): void {
    this.#timer?.cancel();
    this.#timerMs = -Infinity;
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    this.#timerMs = this.#sinceMs + this.#limitMs;
    this.#timer = this.#clock.after(delayMs, this.#onTimer);
  }

  readonly #onTimer = (): void => {
    const leftMs = this.#sinceMs + this.#limitMs - this.#clock.monotonicMs();
    this.#timerMs = Infinity;
    if (leftMs > 0) this.#arm(leftMs);
    else this.#onExpired();
  };
}
