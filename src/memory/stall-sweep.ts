/**
 * Evicts shares that made no progress for a while as long as memory is short, the largest first. No timer runs while
 * memory is not short.
 */
import type { Clock, Timer } from "../lib/time/clock.ts";
import type { Evictable } from "./budget-account.ts";

/** Sweeps per stalledMs while memory is short. */
const sweepsPerStall = 2;
/** Evictions in one turn of the event loop, and the pause between two turns. */
const evictionsPerTurn = 256;
const betweenTurnsMs = 5;

export interface StallSweepOptions {
  readonly clock: Clock;
  /** A share without progress for this long may be evicted. */
  readonly stalledMs: number;
  readonly isShort: () => boolean;
}

export class StallSweep {
  /** Evictions so far. */
  evictions = 0;
  readonly #clock: Clock;
  readonly #stalledMs: number;
  readonly #isShort: () => boolean;
  readonly #shares = new Set<Evictable>();
  #timer: Timer | undefined;

  constructor({ clock, stalledMs, isShort }: StallSweepOptions) {
    this.#clock = clock;
    this.#stalledMs = stalledMs;
    this.#isShort = isShort;
  }

  add(share: Evictable): void {
    this.#shares.add(share);
  }

  remove(share: Evictable): void {
    this.#shares.delete(share);
  }

  /** Starts the timer if memory is short. Call it when memory was taken or refused. */
  check(): void {
    if (this.#timer !== undefined || !this.#isShort()) return;
    this.#sweepIn(this.#stalledMs / sweepsPerStall);
  }

  #sweepIn(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      if (this.#sweep()) this.#sweepIn(betweenTurnsMs);
      else this.check();
    });
  }

  /** Returns true if there is more to evict in a later turn. */
  #sweep(): boolean {
    if (!this.#isShort()) return false;
    const stalled = this.#stalledByMagnitude();
    let evictions = 0;
    for (let magnitude = stalled.length - 1; magnitude >= 0; magnitude--) {
      for (const share of stalled[magnitude] ?? []) {
        if (!this.#isShort()) return false;
        if (evictions++ === evictionsPerTurn) return true;
        this.evictions++;
        this.#shares.delete(share);
        share.evict();
      }
    }
    return false;
  }

  /** Stalled shares in groups by the power of two of their size: sorting all of them would take too long. */
  #stalledByMagnitude(): Evictable[][] {
    const before = this.#clock.monotonicMs() - this.#stalledMs;
    const stalled: Evictable[][] = [];
    for (const share of this.#shares) {
      if (share.movedMs > before) continue;
      const magnitude = Math.floor(Math.log2(share.bytes));
      stalled[magnitude] ??= [];
      stalled[magnitude].push(share);
    }
    return stalled;
  }
}
