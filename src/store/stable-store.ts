/**
 * The stable store port: a small, atomic, durable map for what must survive as a whole: term and vote, the
 * directory's identity, the list of segments, checkpoints. `lmdb-store` is the machine's own.
 *
 * Never: holds records.
 */

/** What msgpack can carry: null, booleans, numbers, bigints, strings, Uint8Array, arrays and plain objects of them. */
export type StableValue = unknown;

export interface StableStore {
  /** The value, or undefined. The caller owns it. */
  get(key: string): StableValue;
  /** All keys that begin so, sorted. */
  keys(prefix: string): string[];
  /**
   * Puts each value under its key; `undefined` removes the key. All of it or nothing, and durable on return.
   * Throws what the disk threw; then nothing was changed.
   */
  write(changes: Readonly<Record<string, StableValue>>): void;
  /**
   * False: keys have come or gone by themselves. Only a store that was opened to be looked at or repaired says so, any
   * other does not open; the next write takes what is there for the whole.
   */
  readonly whole: boolean;
  close(): Promise<void>;
}
