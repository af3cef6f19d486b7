/**
 * A core: tick, step, propose and the other inputs go in, ready() comes out. Pure: no I/O, no clock, and chance only from
 * the generator that it is given. ready.ts says what its driver owes.
 */
import type { CoreConfig } from "./config.ts";
import { type ConfRefusal, toConfState } from "./configuration.ts";
import { becomeFollower, hup } from "./election.ts";
import type { Progress } from "./progress.ts";
import { Raft } from "./raft.ts";
import { type Ready, ReadyMaker } from "./ready.ts";
import { reconfigure } from "./reconfigure.ts";
import {
  forgetLeader,
  forgetProgress,
  leaderConnectionLost,
  progressOf,
  reportSnapshot,
  reportUnreachable,
} from "./reports.ts";
import { step, tick } from "./step.ts";
import {
  appendThread,
  applyThread,
  type ConfChange,
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  type MessageType,
  message,
  noPeer,
  type PeerId,
  proposal,
  type RaftIndex,
  type Snapshot,
  type SoftState,
  type StepRefusal,
  type Term,
} from "./types.ts";

/** A summary of a node. */
export interface CoreStatus extends HardState, SoftState {
  readonly id: PeerId;
  readonly applied: RaftIndex;
  readonly lastIndex: RaftIndex;
  readonly configuration: ConfState;
  readonly transferee: PeerId;
  /** The snapshot that was accepted last, if storage has not installed it yet. */
  readonly pendingSnapshot: Snapshot | undefined;
  /** Only on a leader. */
  readonly progress: ReadonlyMap<PeerId, Progress> | undefined;
}

const responseTypes: ReadonlySet<MessageType> = new Set([
  "append-response",
  "vote-response",
  "pre-vote-response",
  "heartbeat-response",
  "read-index-response",
]);
const storageTypes: ReadonlySet<MessageType> = new Set([
  "storage-append",
  "storage-append-response",
  "storage-apply",
  "storage-apply-response",
]);

export class Core {
  readonly #raft: Raft;
  readonly #readies: ReadyMaker;

  /** @throws Fault "config" for a setting that is out of range or does not fit another */
  constructor(config: CoreConfig) {
    const raft = new Raft(config);
    this.#raft = raft;
    becomeFollower(raft, raft.term, noPeer);
    raft.emit({
      kind: "started",
      peers: [...raft.tracker.configuration.incoming],
      term: raft.term,
      log: raft.log,
    });
    this.#readies = new ReadyMaker(raft);
  }

  get id(): PeerId {
    return this.#raft.id;
  }
  get term(): Term {
    return this.#raft.term;
  }
  get role(): SoftState["role"] {
    return this.#raft.role;
  }
  get leader(): PeerId {
    return this.#raft.leader;
  }
  get lastIndex(): RaftIndex {
    return this.#raft.log.lastIndex;
  }
  get committed(): RaftIndex {
    return this.#raft.log.committed;
  }
  get applied(): RaftIndex {
    return this.#raft.log.applied;
  }
  /** Bytes proposed here in this term and not yet applied. */
  get uncommittedBytes(): number {
    return this.#raft.uncommittedBytes;
  }
  /** Whether an entry of this term is committed. Before that, this node's commit index may be behind the cluster's. */
  get committedInTerm(): boolean {
    return this.#raft.committedInTerm;
  }
  get transferee(): PeerId {
    return this.#raft.transferee;
  }
  /** Whether this node alone is a quorum. */
  get singleton(): boolean {
    return this.#raft.singleton;
  }

  /** The term of an entry in this node's log, else undefined. */
  termAt(index: RaftIndex): Term | undefined {
    return this.#raft.log.term(index);
  }

  /** The snapshot that was accepted last, if storage has not installed it yet. */
  get pendingSnapshot(): Snapshot | undefined {
    return this.#raft.log.pendingSnapshot;
  }

  /** The entry at `index` if it is not yet known to be durable here. */
  unstableEntry(index: RaftIndex): Entry | undefined {
    return this.#raft.log.unstableEntry(index);
  }

  /** The progress of a peer; undefined on a node that does not lead. */
  progressOf(peer: PeerId): Progress | undefined {
    return progressOf(this.#raft, peer);
  }

  get configuration(): ConfState {
    return toConfState(this.#raft.tracker.configuration);
  }

  status(): CoreStatus {
    const raft = this.#raft;
    const { role, tracker } = raft;
    return {
      id: raft.id,
      ...raft.hardState,
      ...raft.softState,
      applied: raft.log.applied,
      lastIndex: raft.log.lastIndex,
      configuration: this.configuration,
      transferee: raft.transferee,
      pendingSnapshot: raft.log.pendingSnapshot,
      progress: role === "leader" ? new Map([...tracker.progress].sort(([a], [b]) => a - b)) : undefined,
    };
  }

  // Inputs.

  /** True: the driver knows a reason why this node should not lead. It does not campaign then. */
  set reluctant(reluctant: boolean) {
    this.#raft.reluctant = reluctant;
  }

  tick(): void {
    tick(this.#raft);
  }

  /** A message from a peer, or from one of this node's storage threads. */
  step(received: Message): StepRefusal | undefined {
    const { type, from } = received;
    const local = from === appendThread || from === applyThread;
    if (storageTypes.has(type) && !local) return "storage-message-from-peer";
    // A response of term 0 answers no request: it says what is committed, and its sender may not be in this configuration.
    const asked = received.term !== 0 || received.commit === 0;
    if (responseTypes.has(type) && !local && asked && !this.#raft.tracker.progress.has(from)) {
      return "peer-not-found";
    }
    return step(this.#raft, received);
  }

  /** Appends entries together if this node leads, forwards them if it knows the leader. */
  propose(entries: readonly Entry[]): StepRefusal | undefined {
    return step(this.#raft, message("propose", noPeer, { from: this.id, entries }));
  }

  proposeChange(change: ConfChange, bytes?: Uint8Array): StepRefusal | undefined {
    return this.propose([proposal(bytes, change)]);
  }

  campaign(): void {
    hup(this.#raft, false);
  }

  /** Hands leadership to `to`. Proposals are dropped until it is done or an election timeout has passed. */
  transferLeader(to: PeerId): void {
    step(this.#raft, message("transfer-leader", noPeer, { from: to }));
  }

  /** Asks up to which index a linearizable read must have applied. A ReadState with this context answers, or nothing does. */
  readIndex(context: number): void {
    step(this.#raft, message("read-index", noPeer, { context }));
  }

  /** Stays a follower of this term, but drops the leader that it knows, and with it the lease. */
  forgetLeader(): void {
    forgetLeader(this.#raft);
  }

  /**
   * A connection to the leader was refused: its process is gone. A follower ends the lease and campaigns within
   * connectionLostTicks. Does nothing without PreVote, which makes an error harmless, and nothing with lease reads.
   */
  leaderConnectionLost(leader: PeerId): void {
    leaderConnectionLost(this.#raft, leader);
  }

  /** Appends to this peer get lost: probe it. */
  reportUnreachable(peer: PeerId): void {
    reportUnreachable(this.#raft, peer);
  }

  /** This peer may have lost entries that it acknowledged: from now on only new acknowledgments count. */
  forgetProgress(peer: PeerId): void {
    forgetProgress(this.#raft, peer);
  }

  /** Whether a snapshot sent to this peer was delivered. */
  reportSnapshot(peer: PeerId, delivered: boolean): void {
    reportSnapshot(this.#raft, peer, delivered);
  }

  /** Applies a committed change. To be called for each one, in order, before its entry is reported as applied. */
  applyChange(change: ConfChange): ConfRefusal | undefined {
    return reconfigure(this.#raft, change);
  }

  /** For tests: sets the randomized election timeout, until the next change of term or role. */
  setElectionTimeout(ticks: number): void {
    this.#raft.electionTimeout = ticks;
  }

  // Outputs: see ready.ts.

  hasReady(): boolean {
    return this.#readies.hasReady();
  }

  ready(): Ready {
    return this.#readies.ready();
  }

  /** Synchronous storage only: all of the last Ready is done. */
  advance(): void {
    this.#readies.advance();
  }
}
