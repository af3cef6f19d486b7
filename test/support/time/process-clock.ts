/**
 * The clock of one simulated process. It ends the process when the power goes in the middle of what a timer runs, and
 * it runs nothing more once the process has ended.
 */
import type { Clock, Timer } from "../../../src/lib/time/clock.ts";
import { SimulatedCrash } from "../disk/sim-disk.ts";

/** Did the power go, or was the process gone already? Such a process answers nothing more. */
export const isDead = (reason: unknown): boolean => reason instanceof SimulatedCrash;

export class ProcessClock implements Clock {
  readonly #clock: Clock;
  readonly #died: () => void;
  #alive = true;

  /** `died` is called when the power goes in a callback; a process that was stopped does not call it. */
  constructor(clock: Clock, died: () => void) {
    this.#clock = clock;
    this.#died = died;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** The process is gone: no callback runs any more. */
  stop(): void {
    this.#alive = false;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }
  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }
  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, () => this.#try(callback));
  }
  soon(callback: () => void): void {
    this.#clock.soon(() => this.#try(callback));
  }

  #try(callback: () => void): void {
    if (!this.#alive) return;
    try {
      callback();
    } catch (thrown) {
      if (!isDead(thrown)) throw thrown;
      this.#died();
    }
  }
}
