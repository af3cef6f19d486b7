/**
 * Limits the memory that the requests and responses of all clients hold together, in bytes. Messages, streams and
 * connections have limits of their own, but thousands of them have no common bound; this is it. DESIGN.md explains the
 * levels.
 */
import { Fault } from "../fault.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { BudgetAccount, Evictable, Flow } from "./budget-account.ts";
import { MemoryShare } from "./memory-share.ts";
import { SpaceQueue } from "./space-queue.ts";
import { StallSweep } from "./stall-sweep.ts";

export interface BudgetOptions {
  /** Bytes. */
  readonly limit: number;
  readonly clock: Clock;
  /**
   * Called when much garbage was made or much memory released, so that collecting may be worth it. collected() must
   * follow soon, because large reads wait for it once half of the limit is garbage. Default: collected() at once.
   */
  readonly onGarbage?: () => void;
  /** A share without progress for this many milliseconds may be evicted while memory is short. Default 500. */
  readonly stalledMs?: number;
}

/** The fault of a request or response that is ended because it made no progress while memory was short. */
export const stalledFault = (): Fault =>
  new Fault("overloaded", { message: "memory is short, and this request made no progress" });

/** Shares up to this size are small, bytes. */
export const smallBytes = 64 * 1024;

const stalledMsDefault = 500;

export class MemoryBudget implements BudgetAccount {
  readonly limit: number;
  /** Requests and responses that were refused because the budget was used up. */
  readonly refused = { in: 0, out: 0, standing: 0 };
  readonly #clock: Clock;
  readonly #onGarbage: () => void;
  /** Bytes that have become garbage since collected(), of all kinds and of responses alone. */
  #garbage = 0;
  #readGarbage = 0;
  /** The highest #total since the last onGarbage() for released memory. */
  #peak = 0;
  readonly #bytes = { in: 0, out: 0, standing: 0 };
  /** Pinned buffer → how many pins it has. */
  readonly #pins = new Map<ArrayBufferLike, number>();
  readonly #sweep: StallSweep;
  readonly #waiting: SpaceQueue;
  #total = 0;

  constructor({ limit, clock, onGarbage, stalledMs = stalledMsDefault }: BudgetOptions) {
    this.limit = limit;
    this.#clock = clock;
    this.#onGarbage = onGarbage ?? (() => this.collected());
    this.#sweep = new StallSweep({ clock, stalledMs, isShort: () => this.short });
    this.#waiting = new SpaceQueue({
      clock,
      smallBytes,
      fits: (more, bytes) => this.fits(more, bytes),
      needsCollection: () => this.needsCollection,
    });
  }

  /** Bytes that all shares hold. */
  get bytes(): number {
    return this.#total;
  }

  /** Bytes that shares of this flow hold. */
  bytesOf(flow: Flow): number {
    return this.#bytes[flow];
  }

  /** Shares that were evicted because they made no progress while memory was short. */
  get evictions(): number {
    return this.#sweep.evictions;
  }

  /** True above a quarter: calls that can wait without a limit should have a share, so that they can be evicted. */
  get busy(): boolean {
    return this.#total > this.limit / 4;
  }

  /** True above a half: hold nothing that is not needed. */
  get tight(): boolean {
    return this.#total > this.limit / 2;
  }

  /** True above five eighths: stalled shares are evicted. */
  get short(): boolean {
    return this.#total > (this.limit * 5) / 8;
  }

  /** True if a share may grow by `more` to `bytes`. */
  fits(more: number, bytes: number): boolean {
    if (bytes <= smallBytes) return this.#total + more <= this.limit;
    return this.#total + more <= (this.limit * 3) / 4;
  }

  /** True if another long-lived call, which takes `bytes`, may begin. */
  mayOpenCall(bytes: number): boolean {
    return this.#mayStand(bytes, this.limit / 2);
  }

  /** True if another connection may be served. Long-lived calls leave a sixteenth of the budget to connections. */
  mayConnect(bytes: number): boolean {
    return this.#mayStand(bytes, (this.limit * 9) / 16);
  }

  #mayStand(bytes: number, standingMax: number): boolean {
    return this.#bytes.standing + bytes <= standingMax && this.#total + bytes <= (this.limit * 7) / 8;
  }

  /** Creates an empty share. `evict` ends what holds the memory; it is called from a timer and must release the share. */
  share(flow: Flow, evict?: () => void): MemoryShare {
    return new MemoryShare(this, flow, this.#clock, evict);
  }

  /**
   * Calls `wake` once when a share of `bytes` fits, in the order of the calls. The returned function cancels it. More
   * than half of the budget counts as half: such a share may never fit, and would stop all large ones behind it.
   */
  whenFits(bytes: number, wake: () => void): () => void {
    this.#sweep.check();
    return this.#waiting.wait(Math.min(bytes, this.limit / 2), wake);
  }

  /** Counts a buffer that something refers to. It counts once, however often it is pinned. */
  pin(buffer: ArrayBufferLike): void {
    const pins = this.#pins.get(buffer) ?? 0;
    this.#pins.set(buffer, pins + 1);
    if (pins === 0) this.count("out", buffer.byteLength);
  }

  unpin(buffer: ArrayBufferLike): void {
    const pins = this.#pins.get(buffer) ?? 0;
    if (pins > 1) {
      this.#pins.set(buffer, pins - 1);
    } else if (pins === 1) {
      this.#pins.delete(buffer);
      this.count("out", -buffer.byteLength);
    }
  }

  /** Notes that `bytes` were allocated for a response and become garbage soon. Large reads wait for their collection. */
  addReadGarbage(bytes: number): void {
    this.#readGarbage += bytes;
    this.addGarbage(bytes);
  }

  /** Notes the same for a request. No read waits for it. */
  addGarbage(bytes: number): void {
    this.#garbage += bytes;
    if (this.#garbage > this.limit / 4) this.#onGarbage();
  }

  /** Garbage was collected, or there is enough memory without. */
  collected(): void {
    this.#garbage = 0;
    this.#readGarbage = 0;
    this.#waiting.onSpace();
  }

  /** True if nothing large should be read or rendered before garbage is collected. */
  get needsCollection(): boolean {
    return this.#readGarbage > this.limit / 2;
  }

  // BudgetAccount, for shares.

  /** Adds `change` bytes, even beyond the limit. */
  count(flow: Flow, change: number): void {
    this.#bytes[flow] += change;
    this.#total += change;
    if (this.#total > this.#peak) this.#peak = this.#total;
    else if (this.#peak - this.#total > this.limit / 8) {
      this.#peak = this.#total;
      this.#onGarbage();
    }
    if (change > 0) this.#sweep.check();
    else this.#waiting.onSpace();
  }

  /** Counts a refusal and returns its fault. */
  refusal(flow: Flow): Fault {
    this.refused[flow]++;
    this.#sweep.check();
    return new Fault("overloaded", {
      message: "the memory budget for requests and responses is used up; retry later",
      facts: { limit: this.limit },
    });
  }

  addEvictable(share: Evictable): void {
    this.#sweep.add(share);
  }

  removeEvictable(share: Evictable): void {
    this.#sweep.remove(share);
  }
}
