/**
 * The storage port as the core reads it: what is durable, or at least written, of this node's log. Synchronous;
 * it answers from memory or from the page cache.
 *
 * Never: is written to by the core, which only says what to write (see ready.ts).
 */
import type { ConfState, Entry, HardState, RaftIndex, Snapshot, Term } from "./types.ts";

export interface LogStorage {
  /** The first entry that is there; one past the last where there are none. From 1. */
  readonly firstIndex: RaftIndex;
  /** The last entry that is there, or the index of the snapshot in its place; 0 of an empty log. */
  readonly lastIndex: RaftIndex;
  /** The term of an entry from firstIndex−1 to lastIndex, else undefined. The term at index 0 is 0. */
  term(index: RaftIndex): Term | undefined;
  /**
   * Entries from `low` up to but without `high`: the longest run from the front within `bytesMax` (weighed by
   * entryBytes), but at least one. undefined when some of them are no longer there. By reference, no copies.
   */
  entries(low: RaftIndex, high: RaftIndex, bytesMax: number): readonly Entry[] | undefined;
  /** The newest snapshot, its index at most what is applied; undefined while none can be had. */
  snapshot(): Snapshot | undefined;
}

/** What a core starts from. */
export interface InitialState {
  readonly hardState: HardState;
  /** The configuration as of `applied`. */
  readonly configuration: ConfState;
  /** What the state machine has applied durably; entries up to here are not handed out again. */
  readonly applied: RaftIndex;
}
