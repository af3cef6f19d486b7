/**
 * The index of a segment: one entry per batch, to find an offset, a Raft index and its term, or a time. Pure.
 *
 *   entry := offset−base:u32  position:u32  term:u32  timestamp−base:u32        16 bytes, little-endian
 *
 * Entry k is Raft index base+k. Offsets and times do not decrease from one entry to the next.
 */
import { assert } from "../../lib/assert.ts";
import type { Offset, RaftIndex, Term } from "../../types.ts";

export const entryBytes = 16;
const u32Max = 0xffff_ffff;

/** The values that the entries of a segment are relative to. */
export interface IndexBase {
  readonly index: RaftIndex;
  readonly offset: Offset;
  readonly timestampMs: number;
}

/** Entries 0 … length−1. */
export interface OffsetIndex {
  readonly base: IndexBase;
  readonly length: number;
  offset(k: number): Offset;
  position(k: number): number;
  term(k: number): Term;
  timestampMs(k: number): number;
}

const isU32 = (value: number): boolean => value >= 0 && value <= u32Max;

/** Returns true if an entry relative to `base` can hold these values. If not, a new segment begins. */
export function fitsEntry(base: IndexBase, offset: Offset, position: number, timestampMs: number): boolean {
  return isU32(offset - base.offset) && isU32(position) && isU32(timestampMs - base.timestampMs);
}

/** The index of the active segment: an array that grows. */
export class ActiveIndex implements OffsetIndex {
  readonly base: IndexBase;
  #words: Uint32Array;
  #length = 0;

  constructor(base: IndexBase) {
    this.base = base;
    this.#words = new Uint32Array(4 * 64);
  }

  get length(): number {
    return this.#length;
  }

  offset(k: number): Offset {
    return this.base.offset + this.#words[4 * k]!;
  }

  position(k: number): number {
    return this.#words[4 * k + 1]!;
  }

  term(k: number): Term {
    return this.#words[4 * k + 2]!;
  }

  timestampMs(k: number): number {
    return this.base.timestampMs + this.#words[4 * k + 3]!;
  }

  append(offset: Offset, position: number, term: Term, timestampMs: number): void {
    assert(fitsEntry(this.base, offset, position, timestampMs) && term <= u32Max, "entry overflows");
    const at = 4 * this.#length;
    if (at === this.#words.length) {
      const grown = new Uint32Array(2 * at);
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words[at] = offset - this.base.offset;
    this.#words[at + 1] = position;
    this.#words[at + 2] = term;
    this.#words[at + 3] = timestampMs - this.base.timestampMs;
    this.#length++;
  }

  truncate(length: number): void {
    assert(length <= this.#length, "truncate() cannot add entries");
    this.#length = length;
  }

  /** The entries `from … to−1` as in the file. A view of the index. */
  bytes(from: number, to: number): Uint8Array {
    assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "the machine is big-endian");
    return new Uint8Array(this.#words.buffer, entryBytes * from, entryBytes * (to - from));
  }
}

/** The last entry whose offset is at most `offset`, or −1. */
export function lastAtOrBefore(index: OffsetIndex, offset: Offset): number {
  let [low, high] = [0, index.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (index.offset(middle) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * The size of whole batches from entry `k` on: at most `maxBytes`, at least one batch. `storeBytes` is where the batch of
 * the last entry ends.
 */
export function wholeBatchBytes(index: OffsetIndex, k: number, maxBytes: number, storeBytes: number): number {
  const start = index.position(k);
  if (storeBytes - start <= maxBytes) return storeBytes - start;
  let [low, high] = [k + 1, index.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (index.position(middle) - start <= maxBytes) low = middle + 1;
    else high = middle;
  }
  const last = Math.max(low - 1, k + 1);
  return (last < index.length ? index.position(last) : storeBytes) - start;
}

/** The first entry whose timestamp is at least `timestampMs`, or length. */
export function firstAtOrAfter(index: OffsetIndex, timestampMs: number): number {
  let [low, high] = [0, index.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (index.timestampMs(middle) < timestampMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
