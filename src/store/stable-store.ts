/**
 * The interface of the stable store: a small, durable map for data that must survive every crash: term and vote, the boot
 * number, the directory's identity, configurations, the list of segments, checkpoints. It has no records.
 */

/** Term and vote of this node. In the vote file. */
export const voteKey = "raft/state";
/** The last start of this directory. In the vote file. */
export const bootKey = "boot/own";

/** What msgpack can carry: null, booleans, numbers, bigints, strings, Uint8Array, arrays and plain objects of them. */
export type StableValue = unknown;

export interface StableStore {
  /**
   * Returns the value, or undefined. The caller owns it.
   * @throws Fault "corrupt"
   */
  get(key: string): StableValue;
  /** Returns all keys with this prefix, sorted. */
  keys(prefix: string): string[];
  /**
   * Stores each value under its key; `undefined` removes the key. Durable on return.
   *
   * Atomic, with one exception: `voteKey` and `bootKey` are written together before other keys, and stay written if the
   * rest fails. A full disk does not refuse them.
   * @throws the error of the disk; then nothing else was changed
   */
  write(changes: Readonly<Record<string, StableValue>>): void;
  /**
   * False if the keys are not those of the last write. Only a store that was opened to examine or repair it can have that;
   * otherwise such a store does not open. The next write accepts the keys as they are.
   */
  readonly whole: boolean;
  close(): Promise<void>;
}
