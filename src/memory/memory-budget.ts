/**
 * The memory that requests and answers of all callers may hold together, in bytes. Single messages, streams and
 * connections have limits of their own, but thousands of them have no sum: this is the sum.
 *
 * A share of at most `smallBytes` may use all of the budget, a larger one three quarters of it: small requests go on
 * while large ones are refused. Calls that can last may take half of it, connections and such calls together nine
 * sixteenths; neither takes any of its last eighth. Above five eighths, shares that made no progress for `stalledMs` are cut, the largest first, until the budget is below
 * that again. Nothing runs while the budget is not short.
 *
 * Memory that several shares refer to (one buffer sent to a thousand tails) is pinned by its ArrayBuffer and counts once.
 */
import { Fault } from "../fault.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { MemoryShare } from "./memory-share.ts";

/** Which way the bytes go: requests, answers, or neither (connections and streams by themselves). */
export type Flow = "in" | "out" | "standing";

export interface BudgetOptions {
  /** Bytes. */
  readonly limit: number;
  readonly clock: Clock;
  /**
   * Called when much garbage was made or given back: it may be time to collect it. collected() must follow, soon; reads
   * wait for it once half of the limit is garbage. Default: nothing to wait for.
   */
  readonly onGarbage?: () => void;
  /** A share without progress for so long may be cut while the budget is short. Default 500. */
  readonly stalledMs?: number;
}

/** A share that may be cut. */
export interface Cuttable {
  readonly bytes: number;
  /** Monotonic milliseconds of its last progress. */
  readonly movedMs: number;
  cut(): void;
}

/** Ends what made no progress while memory was short. Nothing was written for it. */
export const stalledFault = (): Fault =>
  new Fault("overloaded", { message: "memory is short, and this request made no progress" });

/** Up to here a share is small, bytes. */
export const smallBytes = 64 * 1024;

const stalledMsDefault = 500;
/** How often stalled shares are looked for while the budget is short, in parts of stalledMs. */
const sweepsPerStall = 2;
/** Bounds of one turn of the event loop: waiters that are woken, shares that are cut. */
const wokenMax = 64;
const cutsMax = 256;
const betweenTurnsMs = 5;

interface Waiter {
  readonly bytes: number;
  readonly wake: () => void;
}

export class MemoryBudget {
  readonly limit: number;
  /** Requests and answers that were refused because the budget was used up. */
  readonly refused = { in: 0, out: 0, standing: 0 };
  /** Shares that were cut because they made no progress while the budget was short. */
  cuts = 0;
  readonly #clock: Clock;
  readonly #stalledMs: number;
  readonly #onGarbage: () => void;
  /** Bytes that became garbage, or will, since collected() was called; and the most that were held since then. */
  #garbage = 0;
  #readGarbage = 0;
  #peak = 0;
  readonly #held = { in: 0, out: 0, standing: 0 };
  readonly #pins = new Map<ArrayBufferLike, number>();
  readonly #cuttable = new Set<Cuttable>();
  readonly #waitingSmall = new Set<Waiter>();
  readonly #waitingLarge = new Set<Waiter>();
  #total = 0;
  #sweep: Timer | undefined;
  #wakeDue = false;

  constructor({ limit, clock, onGarbage, stalledMs = stalledMsDefault }: BudgetOptions) {
    this.limit = limit;
    this.#clock = clock;
    this.#stalledMs = stalledMs;
    this.#onGarbage = onGarbage ?? (() => this.collected());
  }

  /** Held by all shares. */
  get bytes(): number {
    return this.#total;
  }

  held(flow: Flow): number {
    return this.#held[flow];
  }

  /** More than a quarter is taken: calls that can wait for ever are noted, to be ended when it becomes short. */
  get busy(): boolean {
    return this.#total > this.limit / 4;
  }

  /** More than half is taken: keep nothing that is not needed. */
  get tight(): boolean {
    return this.#total > this.limit / 2;
  }

  /** So much is taken that stalled shares are cut. */
  get short(): boolean {
    return this.#total > (this.limit * 5) / 8;
  }

  /** True when a share of `bytes` in all may grow by `more`. */
  fits(more: number, bytes: number): boolean {
    if (bytes <= smallBytes) return this.#total + more <= this.limit;
    return this.#total + more <= (this.limit * 3) / 4;
  }

  /** True when one more call that can last may begin. */
  mayOpenCall(bytes: number): boolean {
    return this.#mayStand(bytes, this.limit / 2);
  }

  /** True when one more connection may be served. Calls that last leave room for connections. */
  mayConnect(bytes: number): boolean {
    return this.#mayStand(bytes, (this.limit * 9) / 16);
  }

  #mayStand(bytes: number, most: number): boolean {
    return this.#held.standing + bytes <= most && this.#total + bytes <= (this.limit * 7) / 8;
  }

  /**
   * A share that holds nothing yet. `cut` ends what holds the memory; it is called from a timer, and must release the
   * share.
   */
  share(flow: Flow, cut?: () => void): MemoryShare {
    return new MemoryShare(this, flow, this.#clock, cut);
  }

  /** Calls back once when a share of `bytes` may grow by as much, in the order of asking. The answer takes it back. */
  whenFits(bytes: number, wake: () => void): () => void {
    const waiter = { bytes, wake };
    const queue = bytes <= smallBytes ? this.#waitingSmall : this.#waitingLarge;
    queue.add(waiter);
    this.#watch();
    this.#wakeSoon();
    return () => queue.delete(waiter);
  }

  /** Counts memory that something refers to, once however often it is pinned. */
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

  /** True when pinning this memory adds nothing. */
  isPinned(buffer: ArrayBufferLike): boolean {
    return this.#pins.has(buffer);
  }

  /** So many bytes were allocated for an answer, and will be garbage soon, besides what is counted. */
  addReadGarbage(bytes: number): void {
    this.#readGarbage += bytes;
    this.addGarbage(bytes);
  }

  /** The same for a request: no read waits for it. */
  addGarbage(bytes: number): void {
    this.#garbage += bytes;
    if (this.#garbage > this.limit / 4) this.#onGarbage();
  }

  /** Garbage was collected, or there is memory enough without. */
  collected(): void {
    this.#garbage = 0;
    this.#readGarbage = 0;
    if (this.#waitingSmall.size > 0 || this.#waitingLarge.size > 0) this.#wakeSoon();
  }

  /** Nothing large is to be read or rendered before garbage was collected. */
  get needsCollection(): boolean {
    return this.#readGarbage > this.limit / 2;
  }

  // What shares do.

  /** Adds to what is held, whatever the limit is. */
  count(flow: Flow, change: number): void {
    this.#held[flow] += change;
    this.#total += change;
    if (this.#total > this.#peak) this.#peak = this.#total;
    else if (this.#peak - this.#total > this.limit / 8) {
      this.#peak = this.#total;
      this.#onGarbage();
    }
    if (change > 0) this.#watch();
    else if (this.#waitingSmall.size > 0 || this.#waitingLarge.size > 0) this.#wakeSoon();
  }

  /** The fault of what does not fit, which is counted. */
  refusal(flow: Flow): Fault {
    this.refused[flow]++;
    this.#watch();
    return new Fault("overloaded", {
      message: "requests and answers under way hold all the memory that they may",
      facts: { limit: this.limit },
    });
  }

  mayCut(share: Cuttable): void {
    this.#cuttable.add(share);
  }

  mayNotCut(share: Cuttable): void {
    this.#cuttable.delete(share);
  }

  #watch(): void {
    if (this.#sweep !== undefined || !this.short) return;
    this.#sweepIn(this.#stalledMs / sweepsPerStall);
  }

  #sweepIn(delayMs: number): void {
    this.#sweep = this.#clock.after(delayMs, () => {
      this.#sweep = undefined;
      if (this.#cutStalled()) this.#sweepIn(betweenTurnsMs);
      else this.#watch();
    });
  }

  /** Cuts what stalled, the largest first, until the budget is no longer short. True when there is more to cut. */
  #cutStalled(): boolean {
    if (!this.short) return false;
    const before = this.#clock.monotonicMs() - this.#stalledMs;
    const stalled: Cuttable[][] = [];
    for (const share of this.#cuttable) {
      if (share.movedMs > before) continue;
      const magnitude = Math.floor(Math.log2(share.bytes));
      stalled[magnitude] ??= [];
      stalled[magnitude].push(share);
    }
    let cuts = 0;
    for (let magnitude = stalled.length - 1; magnitude >= 0; magnitude--) {
      for (const share of stalled[magnitude] ?? []) {
        if (!this.short) return false;
        if (cuts++ === cutsMax) return true;
        this.cuts++;
        this.#cuttable.delete(share);
        share.cut();
      }
    }
    return false;
  }

  #wakeSoon(): void {
    if (this.#wakeDue) return;
    this.#wakeDue = true;
    this.#clock.soon(() => {
      this.#wakeDue = false;
      this.#wake();
    });
  }

  #wake(): void {
    let woken = 0;
    for (const queue of [this.#waitingSmall, this.#waitingLarge]) {
      for (const waiter of queue) {
        if (waiter.bytes > smallBytes && this.needsCollection) break;
        if (!this.fits(waiter.bytes, waiter.bytes)) break;
        if (woken++ === wokenMax) {
          this.#wakeSoon();
          return;
        }
        queue.delete(waiter);
        waiter.wake();
      }
    }
  }
}
