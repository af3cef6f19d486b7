/**
 * A seeded pseudo-random generator (sfc32, Chris Doty-Humphrey's PractRand) with named sub-streams: drawing more from
 * one does not change the others. Equal seeds give equal numbers on every machine. Not for secrets.
 */
import { toHex } from "./bytes.ts";

export interface Prng {
  /** A whole number in 0 … 2^32−1. */
  uint32(): number;
  /** A number in [0, 1). */
  float(): number;
  /** A whole number in `low … high`, both included. */
  between(low: number, high: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One of the items; the list must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** Shuffles in place. Returns the same array. */
  shuffle<T>(items: T[]): T[];
  /** An independent generator, determined by this one's seed and the name alone. */
  stream(name: string): Prng;
}

/** A generator for this seed, a string or a whole number. */
export function prng(seed: number | string): Prng {
  const key = String(seed);
  let [a, b, c] = [hash(key, 0x9e3779b9), hash(key, 0x243f6a88), hash(key, 0xb7e15162)];
  let counter = 1;
  const uint32 = (): number => {
    const result = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  for (let round = 0; round < 12; round++) uint32();
  const float = (): number => uint32() / 0x1_0000_0000;
  const between = (low: number, high: number): number => low + Math.floor(float() * (high - low + 1));
  return {
    uint32,
    float,
    between,
    chance: (probability) => float() < probability,
    pick<T>(items: readonly T[]): T {
      return items[between(0, items.length - 1)] as T;
    },
    shuffle(items) {
      for (let last = items.length - 1; last > 0; last--) {
        const other = between(0, last);
        const kept = items[last] as (typeof items)[number];
        items[last] = items[other] as (typeof items)[number];
        items[other] = kept;
      }
      return items;
    },
    stream: (name) => prng(`${key}/${name}`),
  };
}

/** FNV-1a over UTF-16 units with a final mix: spreads short seeds over 32 bits. */
function hash(text: string, basis: number): number {
  let state = basis | 0;
  for (let at = 0; at < text.length; at++) {
    state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) | 0;
}

/** Returns 128 unpredictable bits of the machine as hex, in Node and in a browser: the seed of a Prng. */
export function systemSeed(): string {
  return toHex(globalThis.crypto.getRandomValues(new Uint8Array(16)));
}
