/** The part of the memory budget that one request, response or connection holds. */
import type { Clock } from "../lib/time/clock.ts";
import type { BudgetAccount, Flow } from "./budget-account.ts";

/** Shares below this many bytes are not worth evicting. */
const evictableBytesMin = 4 * 1024;
/** Bytes that must move before they count as progress. A client that moves a byte at a time has stalled. */
const progressBytes = 16 * 1024;
/** The least speed of a write that is under way. */
const bytesPerSecondMin = 1024 * 1024;

export class MemoryShare implements Disposable {
  /** Bytes that the share holds. */
  bytes = 0;
  /** When it last made progress, monotonic milliseconds. */
  movedMs = 0;
  readonly #budget: BudgetAccount;
  readonly #flow: Flow;
  readonly #clock: Clock;
  readonly #evict: (() => void) | undefined;
  #isEvictable = false;
  #moved = 0;

  /** Made by MemoryBudget.share(). */
  constructor(budget: BudgetAccount, flow: Flow, clock: Clock, evict: (() => void) | undefined) {
    this.#budget = budget;
    this.#flow = flow;
    this.#clock = clock;
    this.#evict = evict;
  }

  /** True if more than half of the budget is used: hold nothing that is not needed. */
  get tight(): boolean {
    return this.#budget.tight;
  }

  /**
   * Holds `bytes` from now on; 0 releases everything.
   * @throws Fault "overloaded" if there is no space for more; the share keeps what it has
   */
  hold(bytes: number): void {
    const more = bytes - this.bytes;
    if (more === 0) return;
    if (more > 0) {
      if (!this.#budget.fits(more, bytes)) throw this.#budget.refusal(this.#flow);
      // A buffer that grows is copied, and its pieces and the old buffer become garbage.
      this.#budget.addGarbage(more);
    }
    this.count(bytes);
  }

  /** Counts `bytes` that exist already, even beyond the limit. */
  count(bytes: number): void {
    const more = bytes - this.bytes;
    if (more === 0) return;
    this.attribute(bytes);
    this.#budget.count(this.#flow, more);
  }

  /** Notes that the share holds `bytes` that are counted elsewhere. It affects only the order of eviction. */
  attribute(bytes: number): void {
    this.bytes = bytes;
    const isEvictable = bytes >= evictableBytesMin && this.#evict !== undefined;
    if (isEvictable === this.#isEvictable) return;
    this.#isEvictable = isEvictable;
    if (isEvictable) {
      this.#moved = 0;
      this.movedMs = Math.max(this.movedMs, this.#clock.monotonicMs());
      this.#budget.addEvictable(this);
    } else {
      this.#budget.removeEvictable(this);
    }
  }

  /** Notes that `bytes` were sent or received. */
  progress(bytes: number): void {
    this.#moved += bytes;
    if (this.#moved < progressBytes) return;
    this.#moved = 0;
    this.movedMs = Math.max(this.movedMs, this.#clock.monotonicMs());
  }

  /** Notes that `bytes` more are under way and report nothing until all have left. They get time for 1 MiB/s. */
  expect(bytes: number): void {
    this.movedMs = this.#clock.monotonicMs() + (1000 * bytes) / bytesPerSecondMin;
  }

  [Symbol.dispose](): void {
    this.hold(0);
  }

  /** Called by the budget: ends what holds the memory. */
  evict(): void {
    this.#isEvictable = false;
    this.#evict?.();
  }
}
