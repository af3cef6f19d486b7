/** The side of the memory budget that its shares use. */
import type { Fault } from "../fault.ts";

/** Which way the bytes go: requests, responses, or neither (connections and calls by themselves). */
export type Flow = "in" | "out" | "standing";

/** A share that may be evicted. */
export interface Evictable {
  readonly bytes: number;
  /** When it last made progress, monotonic milliseconds. */
  readonly movedMs: number;
  /** Ends what holds the memory. It must release the share. */
  evict(): void;
}

export interface BudgetAccount {
  readonly tight: boolean;
  fits(more: number, bytes: number): boolean;
  addGarbage(bytes: number): void;
  count(flow: Flow, change: number): void;
  refusal(flow: Flow): Fault;
  addEvictable(share: Evictable): void;
  removeEvictable(share: Evictable): void;
}
