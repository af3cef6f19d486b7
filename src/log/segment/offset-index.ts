/**
 * The index of a segment: one entry a batch, which answers where offset n is, where Raft index i is and what its
 * term, and where time t is. Pure, over numbers that something else holds.
 *
 *   entry := offset−base:u32  position:u32  term:u32  timestamp−base:u32        16 bytes, little-endian
 *
 * Entry k is Raft index base+k. Offsets and times never fall from one entry to the next.
 *
 * Never: touches a file.
 */
import { assert } from "../../lib/assert.ts";
import type { Offset, RaftIndex, Term } from "../../types.ts";

export const entryBytes = 16;
const u32Max = 0xffff_ffff;

/** What a segment's entries count from. */
export interface IndexBase {
  readonly index: RaftIndex;
  readonly offset: Offset;
  readonly timestampMs: number;
}

/** Entry k of 0 … length−1. */
export interface OffsetIndex {
  readonly base: IndexBase;
  readonly length: number;
  offset(k: number): Offset;
  position(k: number): number;
  term(k: number): Term;
  timestampMs(k: number): number;
}

/** Can this be an entry over that base? When not, the segment is rolled before it. */
export function fitsEntry(base: IndexBase, offset: Offset, position: number, timestampMs: number): boolean {
  const isU32 = (value: number): boolean => value >= 0 && value <= u32Max;
  return isU32(offset - base.offset) && isU32(position) && isU32(timestampMs - base.timestampMs);
}

/** The index of the active segment: a typed array that grows. */
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
    assert(length <= this.#length, "an index grew by truncation");
    this.#length = length;
  }

  /** The entries `from … to−1` as they stand in the file. */
  bytes(from: number, to: number): Uint8Array {
    assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "a big-endian machine");
    return new Uint8Array(this.#words.buffer, entryBytes * from, entryBytes * (to - from));
  }
}

/** The last entry whose offset is at most this, or −1: where a record is, if it is here. */
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
 * How many bytes to read from entry `k` on, so that whole batches come, about `maxBytes` of them and at least one;
 * `storeBytes` is where the last entry's batch ends.
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

/** The first entry whose timestamp is at least this, or length. */
export function firstAtOrAfter(index: OffsetIndex, timestampMs: number): number {
  let [low, high] = [0, index.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (index.timestampMs(middle) < timestampMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
