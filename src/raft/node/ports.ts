/**
 * What a node needs of the world: a storage, a transport, a state machine. Types and nothing else.
 *
 * The storage and the state machine may be one object, as they are where the log itself is the state.
 *
 * Never: an implementation.
 */
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  InitialState,
  LogStorage,
  Message,
  PeerId,
  RaftIndex,
  Snapshot,
} from "../core/mod.ts";

/**
 * One group of changes, to be made in the order of the fields: a crash may keep the first ones and lose the rest,
 * but not the other way round.
 */
export interface StorageChanges {
  /** Replaces the whole log. What it stands for was received before and lies ready. */
  readonly snapshot: Snapshot | undefined;
  readonly hardState: HardState | undefined;
  /** Replace whatever is at or after the first one's index. Consecutive, by reference: not to be changed. */
  readonly entries: readonly Entry[];
  /** False: only a commit index moved, which a crash may take back. */
  readonly sync: boolean;
}

export interface RaftStorage extends LogStorage {
  initialState(): InitialState;
  /**
   * Makes the changes; they are visible to the readers of LogStorage when this returns. Answers nothing when they
   * are durable already, else a promise of that. One call at a time: the node waits for the promise.
   *
   * Fails with Fault "disk-full" or "disk-busy" so that the same call can be made again, and is. Any other failure is
   * final: what is durable is unknown, and the node stops.
   */
  write(changes: StorageChanges): Promise<void> | undefined;
  /** How entries are encoded, where their bytes depend on their place in the log. Default: the bytes as proposed. */
  readonly format?: EntryFormat;
}

/**
 * The encoding of entries. A proposal is a draft: bytes of the final length. The node has the drafts of each Ready sealed,
 * which writes the place into them, before it sends or writes them.
 */
export interface EntryFormat {
  /** Returns the draft of an entry without data. Pure. */
  draft(change: ConfChange | undefined): Uint8Array;
  /**
   * Completes the drafts among `entries`, which are consecutive, in place. `previous` is the entry before the first one
   * while it is not durable yet, else undefined: then the storage has it.
   */
  seal(entries: readonly Entry[], previous: Entry | undefined): void;
  /** Checks entries from a peer, which are consecutive: their bytes, and that they form a chain. Returns what is wrong. */
  check(entries: readonly Entry[]): string | undefined;
  /**
   * Returns whether the checked entry `first` follows the entry before it by content, too. `previous` is that entry while
   * it is not durable yet, else undefined. False where the contents differ although index and term agree.
   */
  follows(first: Entry, previous: Entry | undefined): boolean;
}

export interface StateMachine {
  /** Committed entries without a configuration change, in order, each exactly once in the life of this process. */
  apply(entries: readonly Entry[]): void;
  /** A committed entry that made this the configuration. Also in order. */
  configure(entry: Entry, configuration: ConfState): void;
  /** The snapshot is in the place of everything now. */
  restore(snapshot: Snapshot): void;
  /** Called at the start of each turn: the last moment to propose what is to go with this turn's group. */
  gather?(): void;
}

/**
 * Best effort: messages may be lost, doubled and reordered, but not altered. A snapshot message is delivered
 * after what it stands for; what became of it is to be told by RaftNode.reportSnapshot.
 */
export interface RaftTransport {
  send(message: Message): void;
  /** Who there is, whenever that changes. */
  members(configuration: ConfState): void;
  /** False: what it knows of the others speaks against this node as a leader. Asked at every tick; default true. */
  mayCampaign?(): boolean;
  /**
   * Voters that should lead rather than this node, for a reason that only the transport knows; default none. Asked at
   * every tick of a leader, which then hands over to one of them that is active, and tries again after a while.
   */
  successors?(): readonly PeerId[];
}

/** How a proposal ended. Exactly one of the two is called, once, never from within propose(). */
export interface ProposalWaiter {
  /** Its entries are committed and applied here; `last` is the index of the last one. */
  applied(last: RaftIndex): void;
  /** `fault.written` says whether they may yet come to be. */
  failed(fault: Error): void;
}

export type { PeerId };
