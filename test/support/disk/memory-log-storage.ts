/**
 * A LogStorage in memory: what the Raft core reads, and the writes that a driver or a transcript makes.
 */
import { assert } from "../../../src/lib/assert.ts";
import {
  type Entry,
  emptyConfState,
  entryBytes,
  type HardState,
  type InitialState,
  type LogStorage,
  type Snapshot,
} from "../../../src/raft/core/mod.ts";

export const emptySnapshot: Snapshot = {
  index: 0,
  term: 0,
  configuration: emptyConfState,
  data: new Uint8Array(0),
};

export class MemoryLogStorage implements LogStorage {
  hardState: HardState = { term: 0, vote: 0, commit: 0 };
  /** The entry before the first one. */
  #base = { index: 0, term: 0 };
  #entries: Entry[] = [];
  #installed: Snapshot = emptySnapshot;
  /** Returns the newest snapshot. A test that makes its own snapshots replaces it. */
  newest: () => Snapshot | undefined = () => this.#installed;

  get firstIndex(): number {
    return this.#base.index + 1;
  }

  get lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  term(index: number): number | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.firstIndex]?.term;
  }

  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.firstIndex) return undefined;
    assert(high <= this.lastIndex + 1, "entries that are not stored");
    const found: Entry[] = [];
    let bytes = 0;
    for (let at = low; at < high; at++) {
      const entry = this.#entries[at - this.firstIndex] as Entry;
      bytes += entryBytes(entry);
      if (bytes > bytesMax && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  snapshot(): Snapshot | undefined {
    return this.newest();
  }

  /** Writes entries. They replace all entries from the first one's index on. */
  append(entries: readonly Entry[]): void {
    const kept = entries.filter((entry) => entry.index >= this.firstIndex);
    const first = kept[0];
    if (first === undefined) return;
    assert(first.index <= this.lastIndex + 1, "an append leaves a gap");
    this.#entries.length = first.index - this.firstIndex;
    for (const entry of kept) this.#entries.push(entry);
  }

  /** Replaces everything by the snapshot. Returns false if a newer one was installed before. */
  install(snapshot: Snapshot): boolean {
    if (this.#installed.index >= snapshot.index) return false;
    this.#installed = snapshot;
    this.#base = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
    return true;
  }

  /** Removes the entries up to `index`. Returns false if they were removed before. */
  compact(index: number): boolean {
    if (index <= this.#base.index) return false;
    assert(index <= this.lastIndex, "entries that are not stored cannot be compacted");
    const term = this.term(index) as number;
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = { index, term };
    return true;
  }

  /** The initial state of a node that opens this storage. Its state machine contains only the snapshot. */
  initialState(): InitialState {
    const { index, configuration } = this.#installed;
    return { hardState: this.hardState, configuration, applied: Math.max(index, this.#base.index) };
  }
}
