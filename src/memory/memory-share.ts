/** What one request, answer or connection holds of the memory budget. */
import type { Clock } from "../lib/time/clock.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Cuttable, Flow, MemoryBudget } from "./memory-budget.ts";

/** A share of less is not worth cutting, bytes. */
const cutBytesMin = 4 * 1024;
/** So many bytes moved are progress: a caller that takes or sends a byte at a time has stalled. */
const progressBytes = 16 * 1024;

/** Slower than this, a write under way has stalled. */
const leastBytesPerSecond = 1024 * 1024;

export class MemoryShare implements Cuttable, Disposable {
  bytes = 0;
  movedMs = 0;
  readonly #budget: MemoryBudget;
  readonly #flow: Flow;
  readonly #clock: Clock;
  readonly #cut: (() => void) | undefined;
  #isCuttable = false;
  #moved = 0;

  /** See MemoryBudget.share(). */
  constructor(budget: MemoryBudget, flow: Flow, clock: Clock, cut: (() => void) | undefined) {
    this.#budget = budget;
    this.#flow = flow;
    this.#clock = clock;
    this.#cut = cut;
  }

  /** More than half of the budget is taken: keep nothing that is not needed. */
  get tight(): boolean {
    return this.#budget.tight;
  }

  /**
   * Holds so many bytes from now on; 0 gives them back.
   * @throws Fault "overloaded" when there is no room for more; what was held stays counted
   */
  hold(bytes: number): void {
    const more = bytes - this.bytes;
    if (more === 0) return;
    if (more > 0) {
      if (!this.#budget.fits(more, bytes)) throw this.#budget.refusal(this.#flow);
      // What grows is copied into more room, and came in pieces.
      this.#budget.addGarbage(more);
    }
    this.count(bytes);
  }

  /** Counts so many bytes, which exist already, whatever the limit is. */
  count(bytes: number): void {
    const more = bytes - this.bytes;
    if (more === 0) return;
    this.attribute(bytes);
    this.#budget.count(this.#flow, more);
  }

  /** Notes that the share holds so many bytes that are counted elsewhere, for the order of cutting. */
  attribute(bytes: number): void {
    this.bytes = bytes;
    const isCuttable = bytes >= cutBytesMin && this.#cut !== undefined;
    if (isCuttable === this.#isCuttable) return;
    this.#isCuttable = isCuttable;
    if (isCuttable) {
      this.#moved = 0;
      this.movedMs = Math.max(this.movedMs, this.#clock.monotonicMs());
      this.#budget.mayCut(this);
    } else {
      this.#budget.mayNotCut(this);
    }
  }

  /** So many bytes were sent or received. */
  progress(bytes: number): void {
    this.#moved += bytes;
    if (this.#moved < progressBytes) return;
    this.#moved = 0;
    this.movedMs = Math.max(this.movedMs, this.#clock.monotonicMs());
  }

  /** So many bytes more are under way, of which nothing is heard until the last has gone: they get time for it. */
  expect(bytes: number): void {
    this.movedMs = this.#clock.monotonicMs() + (1000 * bytes) / leastBytesPerSecond;
  }

  [Symbol.dispose](): void {
    this.hold(0);
  }

  /** Called by the budget. */
  cut(): void {
    this.#isCuttable = false;
    this.#cut?.();
  }
}
