/**
 * Which tails of several logs a commit concerns. A tail names its logs by id, or by a prefix of their names; only the tails
 * of a log that changed are woken. Pure.
 *
 * The prefixes of a log are decided once and kept with its id. A search for them costs one look-up for each length that a
 * prefix has, whatever the number of tails.
 */
import type { LogId, RaftIndex } from "../../types.ts";

/** A tail of several logs. */
export interface WatchingTail {
  /** Something about this log of the tail was committed, at `from` or after it. */
  committed(from: RaftIndex, id: LogId): void;
  /** The log was closed or replaced, or the node was removed from its cluster. */
  woken(): void;
}

/** The logs of a tail. */
export interface WatchedLogs {
  /** 0 is `default`. */
  readonly ids: readonly LogId[];
  readonly prefix?: string | undefined;
}

type Tails = Set<WatchingTail>;

/** Logs whose prefixes are kept. */
const keptMax = 65_536;

export class TailWatch {
  readonly #tails: Tails = new Set();
  readonly #byId = new Map<LogId, Tails>();
  readonly #byPrefix = new Map<string, Tails>();
  /** Length of a prefix → number of prefixes of it. */
  readonly #lengths = new Map<number, number>();
  /** The tails of the prefixes of a log. Cleared when a prefix is added or removed. */
  readonly #prefixesOf = new Map<LogId, readonly Tails[]>();

  /** How many tails there are. */
  get size(): number {
    return this.#tails.size;
  }

  /** The returned function removes the tail. */
  add(tail: WatchingTail, { ids, prefix }: WatchedLogs): () => void {
    this.#tails.add(tail);
    for (const id of ids) tailsAt(this.#byId, id).add(tail);
    if (prefix !== undefined) this.#addPrefix(prefix).add(tail);
    return () => {
      this.#tails.delete(tail);
      for (const id of ids) removeAt(this.#byId, id, tail);
      if (prefix !== undefined) this.#removePrefix(prefix, tail);
    };
  }

  /**
   * What was committed from `from` on is about these logs. `nameOf` returns the name of a log, undefined once it is deleted:
   * then only the tails that named it are woken.
   */
  committed(from: RaftIndex, ids: readonly LogId[], nameOf: (id: LogId) => string | undefined): void {
    if (this.#tails.size === 0) return;
    for (const id of ids) {
      for (const tail of this.#byId.get(id) ?? []) tail.committed(from, id);
      if (this.#byPrefix.size === 0 || id === 0) continue;
      for (const tails of this.#tailsOf(id, nameOf)) for (const tail of tails) tail.committed(from, id);
    }
  }

  /** Wakes all tails. */
  wakeAll(): void {
    for (const tail of [...this.#tails]) tail.woken();
  }

  #tailsOf(id: LogId, nameOf: (id: LogId) => string | undefined): readonly Tails[] {
    const known = this.#prefixesOf.get(id);
    const name = nameOf(id);
    if (name === undefined) {
      this.#prefixesOf.delete(id);
      return [];
    }
    if (known !== undefined) return known;
    const found: Tails[] = [];
    for (const length of this.#lengths.keys()) {
      const tails = length > name.length ? undefined : this.#byPrefix.get(name.slice(0, length));
      if (tails !== undefined) found.push(tails);
    }
    if (this.#prefixesOf.size >= keptMax) this.#prefixesOf.clear();
    this.#prefixesOf.set(id, found);
    return found;
  }

  #addPrefix(prefix: string): Tails {
    if (!this.#byPrefix.has(prefix)) {
      this.#prefixesOf.clear();
      this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
    }
    return tailsAt(this.#byPrefix, prefix);
  }

  #removePrefix(prefix: string, tail: WatchingTail): void {
    removeAt(this.#byPrefix, prefix, tail);
    if (this.#byPrefix.has(prefix)) return;
    this.#prefixesOf.clear();
    const left = (this.#lengths.get(prefix.length) ?? 1) - 1;
    if (left === 0) this.#lengths.delete(prefix.length);
    else this.#lengths.set(prefix.length, left);
  }
}

function tailsAt<Key>(map: Map<Key, Tails>, key: Key): Tails {
  let tails = map.get(key);
  if (tails === undefined) {
    tails = new Set();
    map.set(key, tails);
  }
  return tails;
}

function removeAt<Key>(map: Map<Key, Tails>, key: Key, tail: WatchingTail): void {
  const tails = map.get(key);
  tails?.delete(tail);
  if (tails?.size === 0) map.delete(key);
}
