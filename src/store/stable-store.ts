/**
 * The stable store port: a small, durable map for what must survive every crash: term and vote, the boot number, the
 * directory's identity, configurations, the list of segments, checkpoints. It holds no records.
 */

/** Term and vote of this node. In the vote file. */
export const voteKey = "raft/state";
/** The last start of this directory. In the vote file. */
export const bootKey = "boot/own";

/** What msgpack can carry: null, booleans, numbers, bigints, strings, Uint8Array, arrays and plain objects of them. */
export type StableValue = unknown;

export interface StableStore {
  /**
   * The value, or undefined. The caller owns it.
   * @throws Fault "corrupt"
   */
  get(key: string): StableValue;
  /** All keys that begin so, sorted. */
  keys(prefix: string): string[];
  /**
   * Puts each value under its key; `undefined` removes the key. Durable on return.
   *
   * All of it or nothing, with one exception: where `voteKey` or `bootKey` stand beside others, these two are written
   * first, together, and a failure of the rest leaves them. A full disk does not refuse them.
   * @throws what the disk threw; then nothing else was changed
   */
  write(changes: Readonly<Record<string, StableValue>>): void;
  /**
   * False: keys have come or gone without a write. Only a store that was opened to be examined or repaired says so; any
   * other does not open. The next write accepts what is there.
   */
  readonly whole: boolean;
  close(): Promise<void>;
}
