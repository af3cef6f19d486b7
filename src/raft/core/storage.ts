/**
 * The storage port as the core reads it: the part of this node's log that is durable, or at least written. Synchronous; it
 * reads from memory or the page cache. The core does not write: Ready says what the driver has to write.
 */
import type { ConfState, Entry, HardState, RaftIndex, Snapshot, Term } from "./types.ts";

export interface LogStorage {
  /** The index of the first entry; one past the last if there are none. From 1. */
  readonly firstIndex: RaftIndex;
  /** The index of the last entry, or of the snapshot in its place; 0 for an empty log. */
  readonly lastIndex: RaftIndex;
  /** The term of an entry from firstIndex−1 to lastIndex, else undefined. The term at index 0 is 0. */
  term(index: RaftIndex): Term | undefined;
  /**
   * Entries from `low` up to but without `high`: the longest run from the front within `bytesMax` (weighed by
   * entryBytes), but at least one. undefined when some of them are no longer there. By reference, no copies.
   */
  entries(low: RaftIndex, high: RaftIndex, bytesMax: number): readonly Entry[] | undefined;
  /**
   * The newest snapshot, at most at the applied index; undefined if there is none, or not yet: the core asks again.
   * @throws Fault "corrupt" if it is damaged
   */
  snapshot(): Snapshot | undefined;
}

/** The state that a core starts with. */
export interface InitialState {
  readonly hardState: HardState;
  /** The configuration as of `applied`. */
  readonly configuration: ConfState;
  /** The index that the state machine has applied durably. Entries up to it are not handed out again. */
  readonly applied: RaftIndex;
}
