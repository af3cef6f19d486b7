/**
 * What a node needs: a storage, a transport, a state machine. Storage and state machine may be one object, if the log itself
 * is the state.
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
 * One group of changes, made in the order of the fields: a crash may keep the first ones and lose the rest, but not the
 * reverse.
 */
export interface StorageChanges {
  /** Replaces the whole log. Its data was received before. */
  readonly snapshot: Snapshot | undefined;
  readonly hardState: HardState | undefined;
  /** Replace the entries at and after the first one's index. Consecutive, by reference: must not be changed. */
  readonly entries: readonly Entry[];
  /** False: only the commit index changed, which a crash may take back. */
  readonly sync: boolean;
}

export interface RaftStorage extends LogStorage {
  initialState(): InitialState;
  /**
   * Makes the changes. Readers of LogStorage see them when this returns. Returns undefined if they are durable already, else
   * a promise that resolves when they are. One call at a time: the node waits for the promise.
   *
   * Fault "disk-full" and "disk-busy" change nothing, and the node repeats the call later. After any other failure it is
   * unknown what is durable, and the node stops.
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
   * Completes the drafts among `entries`, which are consecutive, in place. `unstable` returns an entry before them that is
   * not durable yet, else undefined: then the storage has it.
   */
  seal(entries: readonly Entry[], unstable: (index: RaftIndex) => Entry | undefined): void;
  /** Checks entries from a peer, which are consecutive: their bytes, and that they form a chain. Returns what is wrong. */
  check(entries: readonly Entry[]): string | undefined;
  /**
   * Returns whether the checked entries follow the entry before them by content, too. `unstable` is as for seal(). False
   * where the contents differ although index and term agree.
   */
  follows(entries: readonly Entry[], unstable: (index: RaftIndex) => Entry | undefined): boolean;
}

export interface StateMachine {
  /** Committed entries without a configuration change, in order, each exactly once in the life of this process. */
  apply(entries: readonly Entry[]): void;
  /** A committed entry with a change of configuration, and the configuration after it. In the order of all entries. */
  configure(entry: Entry, configuration: ConfState): void;
  /** The snapshot has replaced the whole log. */
  restore(snapshot: Snapshot): void;
  /** Called at the start of each turn. What it proposes goes with this turn's group. */
  gather?(): void;
}

/**
 * Best effort: messages may be lost, duplicated and reordered, but not altered. A snapshot message is delivered after the
 * snapshot's data; RaftNode.reportSnapshot says whether it was delivered.
 */
export interface RaftTransport {
  send(message: Message): void;
  /**
   * Hands what was sent to the operating system now. Called before entries are written, because a write can block the event loop.
   * Default: what was sent leaves at the end of the turn of the event loop.
   */
  flush?(): void;
  /** Called with each new configuration. */
  members(configuration: ConfState): void;
  /** False if it knows a reason why this node should not lead. Called at each tick; default true. */
  mayCampaign?(): boolean;
  /**
   * Voters that should lead instead of this node, for a reason that the transport knows; default none. Called at each tick of
   * a leader, which hands over to an active one, and repeats a failed transfer after a pause.
   */
  successors?(): readonly PeerId[];
}

/** The result of a proposal. Exactly one of the two is called, once, after propose() has returned. */
export interface ProposalWaiter {
  /** Its entries are committed and applied here; `last` is the index of the last one. */
  applied(last: RaftIndex): void;
  /** `fault.written` says whether they may still be committed. */
  failed(fault: Error): void;
}

export type { PeerId };
