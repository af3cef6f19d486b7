/**
 * The log of one node: the entries in its storage, then the entries that are not known to be durable yet.
 *
 *   firstIndex … offset−1 in storage │ offset … lastIndex unstable, of these offset … inProgress−1 being written
 *   applied ≤ applying ≤ committed ≤ lastIndex
 *
 * An unstable snapshot stands in place of everything in storage until it is installed there.
 */
import { assert } from "../../lib/assert.ts";
import type { LogStorage } from "./storage.ts";
import { type Entry, limitBytes, type RaftIndex, type Snapshot, type Term, totalBytes } from "./types.ts";

const none: readonly Entry[] = [];

/** A log conflict or a late storage response. */
export type LogEvent =
  | {
      readonly kind: "conflict-found";
      readonly index: RaftIndex;
      readonly existing: Term;
      readonly term: Term;
    }
  | { readonly kind: "unstable-replaced"; readonly index: RaftIndex }
  | { readonly kind: "unstable-truncated"; readonly index: RaftIndex }
  | { readonly kind: "stable-entry-missing"; readonly index: RaftIndex }
  | { readonly kind: "stable-entry-in-snapshot"; readonly index: RaftIndex }
  | {
      readonly kind: "stable-entry-mismatch";
      readonly index: RaftIndex;
      readonly term: Term;
      readonly found: Term;
    };

export class RaftLog {
  readonly #storage: LogStorage;
  readonly #emit: (event: LogEvent) => void;
  readonly #applyingBytesMax: number;

  /** Entries not known to be durable, from #offset on. */
  #unstable: Entry[] = [];
  #offset: RaftIndex;
  #inProgress: RaftIndex;
  #snapshot: Snapshot | undefined;
  #snapshotInProgress = false;

  /** Invariant: never falls. */
  committed: RaftIndex;
  /** Handed out to be applied. */
  applying: RaftIndex;
  /** Invariant: never falls. */
  applied: RaftIndex;
  #applyingBytes = 0;
  #applyingPaused = false;

  constructor(storage: LogStorage, applyingBytesMax: number, emit: (event: LogEvent) => void) {
    this.#storage = storage;
    this.#emit = emit;
    this.#applyingBytesMax = applyingBytesMax;
    this.#offset = storage.lastIndex + 1;
    this.#inProgress = this.#offset;
    this.committed = storage.firstIndex - 1;
    this.applying = this.committed;
    this.applied = this.committed;
  }

  get firstIndex(): RaftIndex {
    return this.#snapshot === undefined ? this.#storage.firstIndex : this.#snapshot.index + 1;
  }

  get lastIndex(): RaftIndex {
    if (this.#unstable.length > 0) return this.#offset + this.#unstable.length - 1;
    return this.#snapshot === undefined ? this.#storage.lastIndex : this.#snapshot.index;
  }

  get lastTerm(): Term {
    const term = this.term(this.lastIndex);
    assert(term !== undefined, "the last entry's term is unknown");
    return term;
  }

  get unstableOffset(): RaftIndex {
    return this.#offset;
  }

  get unstableInProgress(): RaftIndex {
    return this.#inProgress;
  }

  get unstableCount(): number {
    return this.#unstable.length;
  }

  /** The term at `index`, from firstIndex−1 on; undefined if it was compacted or is beyond the end. */
  term(index: RaftIndex): Term | undefined {
    if (index >= this.#offset) return this.#unstable[index - this.#offset]?.term;
    if (this.#snapshot !== undefined && index === this.#snapshot.index) return this.#snapshot.term;
    if (index < this.firstIndex - 1 || index > this.lastIndex) return undefined;
    return this.#storage.term(index);
  }

  matchTerm(index: RaftIndex, term: Term): boolean {
    return this.term(index) === term;
  }

  /** Whether a log with this end is at least as new as this one: by term first, then by length. */
  isUpToDate(index: RaftIndex, term: Term): boolean {
    const ours = this.lastTerm;
    return term > ours || (term === ours && index >= this.lastIndex);
  }

  /** The entry at `index` if it is not yet known to be durable. */
  unstableEntry(index: RaftIndex): Entry | undefined {
    return this.#unstable[index - this.#offset];
  }

  /**
   * Entries from `low` up to but without `high`, at most `bytesMax` but at least one. undefined: some of them
   * have been compacted.
   */
  slice(low: RaftIndex, high: RaftIndex, bytesMax: number): readonly Entry[] | undefined {
    if (low >= high) return none;
    if (low < this.firstIndex) return undefined;
    assert(high <= this.lastIndex + 1, "entries asked for beyond the end");
    if (low >= this.#offset) {
      return limitBytes(this.#unstable.slice(low - this.#offset, high - this.#offset), bytesMax);
    }
    const cut = Math.min(high, this.#offset);
    const stored = this.#storage.entries(low, cut, bytesMax);
    if (stored === undefined || cut === high || stored.length < cut - low) return stored;
    const rest = bytesMax - totalBytes(stored);
    if (rest <= 0) return stored;
    const unstable = limitBytes(this.#unstable.slice(0, high - this.#offset), rest);
    if (unstable.length === 1 && totalBytes(unstable) > rest) return stored;
    return [...stored, ...unstable];
  }

  entriesFrom(low: RaftIndex, bytesMax: number): readonly Entry[] | undefined {
    return low > this.lastIndex ? none : this.slice(low, this.lastIndex + 1, bytesMax);
  }

  /** The newest snapshot; undefined if there is none. */
  snapshot(): Snapshot | undefined {
    return this.#snapshot ?? this.#storage.snapshot();
  }

  /** Appends entries, replacing those at and after the first one's index. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = (entries[0] as Entry).index;
    assert(first > this.committed, "an append may not replace what is committed");
    if (first === this.#offset + this.#unstable.length) {
      for (const entry of entries) this.#unstable.push(entry);
    } else if (first <= this.#offset) {
      this.#emit({ kind: "unstable-replaced", index: first });
      this.#unstable = [...entries];
      this.#offset = first;
      this.#inProgress = first;
    } else {
      this.#emit({ kind: "unstable-truncated", index: first });
      this.#unstable = [...this.#unstable.slice(0, first - this.#offset), ...entries];
      this.#inProgress = Math.min(this.#inProgress, first);
    }
  }

  /**
   * Appends a leader's entries behind (previous, previousTerm); false if this log has no such entry. Entries that are here
   * already stay; from the first one that differs on, this log is replaced.
   */
  maybeAppend(
    previous: RaftIndex,
    previousTerm: Term,
    entries: readonly Entry[],
    commit: RaftIndex,
  ): boolean {
    if (!this.matchTerm(previous, previousTerm)) return false;
    const conflict = this.#conflict(entries);
    if (conflict !== undefined) {
      assert(conflict > this.committed, "a leader's entry conflicts with a committed one");
      this.append(conflict === previous + 1 ? entries : entries.slice(conflict - previous - 1));
    }
    this.commitTo(Math.min(commit, previous + entries.length));
    return true;
  }

  #conflict(entries: readonly Entry[]): RaftIndex | undefined {
    for (const { index, term } of entries) {
      const existing = this.term(index);
      if (existing === term) continue;
      if (index <= this.lastIndex) {
        this.#emit({ kind: "conflict-found", index, existing: existing ?? 0, term });
      }
      return index;
    }
    return undefined;
  }

  /**
   * The last entry at or below `index` whose term is not above `term`: no later one can agree with a log that
   * has `term` at `index`. Where a term is no longer known, that index with term 0.
   */
  conflictByTerm(index: RaftIndex, term: Term): { index: RaftIndex; term: Term } {
    const ours = this.term(index);
    if (index <= 0) return { index: 0, term: 0 };
    if (ours === undefined) return { index, term: 0 };
    if (ours <= term) return { index, term: ours };
    // Terms never fall, and a peer chooses both numbers: no walk through a long log.
    let low = Math.max(0, this.firstIndex - 2);
    let found: Term = 0;
    for (let high = index; high - low > 1; ) {
      const middle = Math.floor((low + high) / 2);
      const there = this.term(middle) ?? 0;
      if (there > term) high = middle;
      else [low, found] = [middle, there];
    }
    return { index: low, term: found };
  }

  commitTo(index: RaftIndex): void {
    if (index <= this.committed) return;
    assert(index <= this.lastIndex, `commit ${index} is beyond the last index ${this.lastIndex}`);
    this.committed = index;
  }

  /** Commits up to `index` if that is new and the entry there has this `term`: older terms commit only with it. */
  maybeCommit(index: RaftIndex, term: Term): boolean {
    if (index <= this.committed || index > this.lastIndex || !this.matchTerm(index, term)) return false;
    this.committed = index;
    return true;
  }

  /** Replaces the whole log by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.committed = snapshot.index;
    this.#snapshot = snapshot;
    this.#snapshotInProgress = false;
    this.#unstable = [];
    this.#offset = snapshot.index + 1;
    this.#inProgress = this.#offset;
  }

  // Writing.

  get hasUnstable(): boolean {
    return this.#unstable.length > 0;
  }

  /** Entries that were not handed out to be written yet. */
  nextUnstable(): readonly Entry[] {
    const written = this.#inProgress - this.#offset;
    return this.#unstable.length === written ? none : this.#unstable.slice(written);
  }

  get hasNextUnstable(): boolean {
    return this.#unstable.length > this.#inProgress - this.#offset;
  }

  nextUnstableSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.#snapshot;
  }

  /** The snapshot that stands in place of everything in storage, until it is installed there. */
  get pendingSnapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** All that is unstable has been handed out to be written. */
  acceptUnstable(): void {
    if (this.#unstable.length > 0) this.#inProgress = this.#offset + this.#unstable.length;
    if (this.#snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /** Entries up to this one are durable, if it is still the entry that was written. */
  stableTo(index: RaftIndex, term: Term): void {
    const found = index >= this.#offset ? this.term(index) : undefined;
    if (found === undefined) {
      const inSnapshot = this.#snapshot?.index === index;
      this.#emit({ kind: inSnapshot ? "stable-entry-in-snapshot" : "stable-entry-missing", index });
    } else if (found !== term) {
      this.#emit({ kind: "stable-entry-mismatch", index, term, found });
    } else {
      this.#unstable = this.#unstable.slice(index + 1 - this.#offset);
      this.#offset = index + 1;
      this.#inProgress = Math.max(this.#inProgress, this.#offset);
    }
  }

  stableSnapshotTo(index: RaftIndex): void {
    if (this.#snapshot?.index !== index) return;
    this.#snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  // Applying.

  /** The highest index that may be applied, including entries that are not durable here if `allowUnstable`. */
  #appliable(allowUnstable: boolean): RaftIndex {
    return allowUnstable ? this.committed : Math.min(this.committed, this.#offset - 1);
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.#applyingPaused || this.#snapshot !== undefined) return false;
    return this.applying < this.#appliable(allowUnstable);
  }

  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return none;
    const room = this.#applyingBytesMax - this.#applyingBytes;
    assert(room > 0, "applying should be paused");
    const entries = this.slice(this.applying + 1, this.#appliable(allowUnstable) + 1, room);
    assert(entries !== undefined, "an unapplied entry was compacted");
    return entries;
  }

  /** Entries up to `index`, of `bytes` in all, have been handed out to be applied. */
  acceptApplying(index: RaftIndex, bytes: number, allowUnstable: boolean): void {
    assert(index <= this.committed, "applying is beyond committed");
    this.applying = index;
    this.#applyingBytes += bytes;
    this.#applyingPaused =
      this.#applyingBytes >= this.#applyingBytesMax || index < this.#appliable(allowUnstable);
  }

  appliedTo(index: RaftIndex, bytes: number): void {
    assert(index >= this.applied && index <= this.committed, "applied is out of order");
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }
}
