/**
 * A core and its contract with the driver. Inputs: tick, step, propose, and the rest of the methods. After any of
 * them, while hasReady():
 *
 *   1. take ready();
 *   2. synchronous storage: make hardState, entries and snapshot durable, then send messages, apply
 *      committedEntries, then advance();
 *      asynchronous storage: send messages to peers at once and in order. Those to appendThread and applyThread
 *      are work for this node: done in order within each thread, and their responses delivered (to peers, or by
 *      step() here) when done and, for appends, durable. Nothing else may be assumed durable before.
 *   3. a committed entry with a `change` is applied by applyChange().
 *
 * Never: does any of this itself; waits.
 */
import { assert } from "../../lib/assert.ts";
import type { CoreConfig } from "./config.ts";
import { type ConfRefusal, toConfState } from "./configuration.ts";
import { becomeFollower, hup } from "./election.ts";
import type { Progress } from "./progress.ts";
import { Raft } from "./raft.ts";
import { reconfigure } from "./reconfigure.ts";
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
  nobody,
  type PeerId,
  proposal,
  type ReadState,
  type Snapshot,
  type SoftState,
  type StepRefusal,
  totalBytes,
} from "./types.ts";

/** What there is to do. Nothing in it changes after it was handed out. */
export interface Ready {
  readonly softState: SoftState | undefined;
  /** Present when it changed. */
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  /** To be written, replacing whatever is at or after the first one's index. */
  readonly entries: readonly Entry[];
  /** To be installed in place of the log. Never together with entries. */
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  readonly messages: readonly Message[];
  /** Entries, term or vote: must be durable before messages go out. A commit index alone need not be. */
  readonly mustSync: boolean;
}

/** What is known of a node at a glance. */
export interface Status extends HardState, SoftState {
  readonly id: PeerId;
  readonly applied: number;
  readonly lastIndex: number;
  readonly configuration: ConfState;
  readonly transferee: PeerId;
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

/** So often an election may follow soon on one whose votes were split, once the leader is known to be gone. */
const hastyElections = 5;

export class Core {
  readonly #raft: Raft;
  readonly #detached: boolean;
  #softState: SoftState;
  #hardState: HardState;
  /** Synchronous storage: what to step once all of the last Ready is done. */
  #onAdvance: Message[] = [];
  #advancing = false;

  constructor(config: CoreConfig) {
    const raft = new Raft(config);
    this.#raft = raft;
    this.#detached = config.asyncStorage === true;
    becomeFollower(raft, raft.term, nobody);
    raft.tell({
      kind: "started",
      peers: [...raft.tracker.configuration.incoming],
      term: raft.term,
      log: raft.log,
    });
    this.#softState = this.#currentSoftState();
    this.#hardState = raft.hardState;
  }

  get id(): PeerId {
    return this.#raft.id;
  }
  get term(): number {
    return this.#raft.term;
  }
  get role(): SoftState["role"] {
    return this.#raft.role;
  }
  get leader(): PeerId {
    return this.#raft.leader;
  }
  get lastIndex(): number {
    return this.#raft.log.lastIndex;
  }
  get committed(): number {
    return this.#raft.log.committed;
  }
  get applied(): number {
    return this.#raft.log.applied;
  }
  /** Bytes proposed here in this term and not yet applied. */
  get uncommittedBytes(): number {
    return this.#raft.uncommittedBytes;
  }
  /** Has an entry of this term been committed? Before that, this node's commit index is not the cluster's. */
  get committedInTerm(): boolean {
    return this.#raft.committedInTerm;
  }
  get transferee(): PeerId {
    return this.#raft.transferee;
  }
  /** Is the quorum this node alone? */
  get singleton(): boolean {
    return this.#raft.singleton;
  }

  /** The term of an entry that is here, else undefined. */
  termAt(index: number): number | undefined {
    return this.#raft.log.term(index);
  }

  /** Is a snapshot accepted that storage has not installed yet? */
  get hasSnapshotPending(): boolean {
    return this.#raft.log.hasSnapshotPending;
  }

  /** The entry at `index` if it is not yet known to be durable here. */
  unstableEntry(index: number): Entry | undefined {
    return this.#raft.log.unstableEntry(index);
  }

  progressOf(peer: PeerId): Progress | undefined {
    return this.#raft.role === "leader" ? this.#raft.tracker.progress.get(peer) : undefined;
  }

  get configuration(): ConfState {
    return toConfState(this.#raft.tracker.configuration);
  }

  status(): Status {
    const raft = this.#raft;
    return {
      id: raft.id,
      ...raft.hardState,
      ...this.#currentSoftState(),
      applied: raft.log.applied,
      lastIndex: raft.log.lastIndex,
      configuration: this.configuration,
      transferee: raft.transferee,
      progress:
        raft.role === "leader"
          ? new Map(raft.tracker.peers.map((peer) => [peer, raft.tracker.progress.get(peer) as Progress]))
          : undefined,
    };
  }

  // Inputs.

  /** True: something that the core cannot know speaks against this node as a leader. It does not campaign then. */
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
    // Of no term: unasked news of what is committed, perhaps from one whom this node does not count any more or yet.
    const asked = received.term !== 0 || received.commit === 0;
    if (responseTypes.has(type) && !local && asked && !this.#raft.tracker.progress.has(from)) {
      return "peer-not-found";
    }
    return step(this.#raft, received);
  }

  /** Appends entries in one go if this node leads, forwards them if it knows who does. */
  propose(entries: readonly Entry[]): StepRefusal | undefined {
    return step(this.#raft, message("propose", nobody, { from: this.id, entries }));
  }

  proposeChange(change: ConfChange, bytes?: Uint8Array): StepRefusal | undefined {
    return this.propose([proposal(bytes, change)]);
  }

  campaign(): void {
    hup(this.#raft, false);
  }

  /** Hands leadership to `to`. Proposals are dropped until it is done or an election timeout has passed. */
  transferLeader(to: PeerId): void {
    step(this.#raft, message("transfer-leader", nobody, { from: to }));
  }

  /** Asks how far a linearizable read must have applied: answered by a ReadState with this context, or never. */
  readIndex(context: number): void {
    step(this.#raft, message("read-index", nobody, { context }));
  }

  /** Stays a follower of this term but forgets who leads it, and with that the leader's lease. */
  forgetLeader(): void {
    const raft = this.#raft;
    if (raft.role !== "follower") return;
    if (raft.config.reads === "lease") {
      raft.tell({ kind: "forget-refused" });
    } else if (raft.leader !== nobody) {
      raft.tell({ kind: "leader-forgotten", leader: raft.leader, term: raft.term });
      raft.leader = nobody;
    }
  }

  /**
   * A connection to the leader was refused: its process is gone. A follower ends the lease and campaigns within
   * connectionLostTicks. Only ever with PreVote, so that an error costs nothing, and not with lease reads.
   */
  leaderConnectionLost(leader: PeerId): void {
    const raft = this.#raft;
    const { preVote, reads, random, connectionLostTicks } = raft.config;
    if (raft.role !== "follower" || raft.leader !== leader || leader === nobody) return;
    if (preVote !== true || reads === "lease") return;
    raft.tell({ kind: "leader-connection-lost", leader, term: raft.term });
    raft.leader = nobody;
    raft.hasteLeft = hastyElections;
    raft.electionTimeout = raft.electionElapsed + random.between(1, connectionLostTicks ?? 5);
  }

  /** Appends to this peer get lost: probe it. */
  reportUnreachable(peer: PeerId): void {
    const progress = this.progressOf(peer);
    if (progress === undefined) return;
    if (progress.state === "replicate") progress.becomeProbe();
    this.#raft.tell({ kind: "unreachable", peer, progress });
  }

  /** This peer may have lost what it has acknowledged: only what it acknowledges from now on counts. */
  forgetProgress(peer: PeerId): void {
    if (peer !== this.id) this.progressOf(peer)?.forget(this.#raft.log.lastIndex);
  }

  /** What became of a snapshot sent to this peer. */
  reportSnapshot(peer: PeerId, delivered: boolean): void {
    const progress = this.progressOf(peer);
    if (progress?.state !== "snapshot") return;
    if (!delivered) progress.pendingSnapshot = 0;
    progress.becomeProbe();
    this.#raft.tell({ kind: delivered ? "snapshot-delivered" : "snapshot-failed", peer, progress });
    // Delivered: wait for its answer. Failed: wait for a heartbeat before trying again.
    progress.paused = true;
  }

  /** Applies a committed change. To be called for every one, in order, before its entry is reported as applied. */
  applyChange(change: ConfChange): ConfRefusal | undefined {
    return reconfigure(this.#raft, change);
  }

  /** For tests: the present randomized election timeout, until the next change of term or role. */
  setElectionTimeout(ticks: number): void {
    this.#raft.electionTimeout = ticks;
  }

  // Outputs.

  hasReady(): boolean {
    const raft = this.#raft;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      raft.log.hasNextUnstable ||
      raft.log.nextUnstableSnapshot() !== undefined ||
      raft.log.hasNextCommitted(!this.#detached) ||
      raft.readStates.length > 0 ||
      this.#softStateChanged() ||
      this.#hardStateChanged()
    );
  }

  ready(): Ready {
    assert(!this.#advancing, "ready() twice without advance()");
    const raft = this.#raft;
    const softState = this.#softStateChanged() ? this.#currentSoftState() : undefined;
    const hardState = this.#hardStateChanged() ? raft.hardState : undefined;
    const entries = raft.log.nextUnstable();
    const snapshot = raft.log.nextUnstableSnapshot();
    const committedEntries = raft.log.nextCommitted(!this.#detached);
    const mustSync =
      entries.length > 0 || raft.term !== this.#hardState.term || raft.vote !== this.#hardState.vote;
    const { messages, readStates } = raft;
    if (this.#detached) {
      this.#handOutWork(hardState, entries, snapshot, committedEntries, messages);
    } else {
      this.#keepWork(snapshot, committedEntries, messages);
    }
    raft.messages = [];
    raft.messagesAfterAppend = [];
    raft.readStates = [];
    if (softState !== undefined) this.#softState = softState;
    if (hardState !== undefined) this.#hardState = hardState;
    raft.log.acceptUnstable();
    const last = committedEntries.at(-1);
    if (last !== undefined) {
      raft.log.acceptApplying(last.index, totalBytes(committedEntries), !this.#detached);
    }
    return { softState, hardState, readStates, entries, snapshot, committedEntries, messages, mustSync };
  }

  /** Synchronous storage only: all of the last Ready is done. */
  advance(): void {
    assert(!this.#detached, "with asynchronous storage there is nothing to advance");
    const done = this.#onAdvance;
    this.#onAdvance = [];
    this.#advancing = false;
    for (const one of done) step(this.#raft, one);
  }

  #handOutWork(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
    committedEntries: readonly Entry[],
    messages: Message[],
  ): void {
    const { id, messagesAfterAppend } = this.#raft;
    if (
      entries.length > 0 ||
      hardState !== undefined ||
      snapshot !== undefined ||
      messagesAfterAppend.length > 0
    ) {
      // The answer to ourselves comes last: a leader's own acknowledgement needs the entries still unstable.
      const answer = this.#appendAnswer(snapshot);
      const responses = answer === undefined ? messagesAfterAppend : [...messagesAfterAppend, answer];
      messages.push(
        message("storage-append", appendThread, { from: id, ...hardState, entries, snapshot, responses }),
      );
    }
    if (committedEntries.length > 0) {
      messages.push(
        message("storage-apply", applyThread, {
          from: id,
          entries: committedEntries,
          responses: [this.#applyAnswer(committedEntries)],
        }),
      );
    }
  }

  #keepWork(snapshot: Snapshot | undefined, committedEntries: readonly Entry[], messages: Message[]): void {
    for (const one of this.#raft.messagesAfterAppend) {
      if (one.to === this.id) this.#onAdvance.push(one);
      else messages.push(one);
    }
    const answer = this.#appendAnswer(snapshot);
    if (answer !== undefined) this.#onAdvance.push(answer);
    if (committedEntries.length > 0) this.#onAdvance.push(this.#applyAnswer(committedEntries));
    this.#advancing = true;
  }

  /**
   * Says that everything unstable now will be durable then: not only what this Ready writes, since an earlier
   * write of the same entries may have been answered in a term that is past.
   */
  #appendAnswer(snapshot: Snapshot | undefined): Message | undefined {
    const { id, term, log } = this.#raft;
    if (!log.hasUnstable && snapshot === undefined) return undefined;
    const last = log.hasUnstable ? { index: log.lastIndex, logTerm: log.lastTerm } : {};
    return message("storage-append-response", id, { from: appendThread, term, ...last, snapshot });
  }

  #applyAnswer(entries: readonly Entry[]): Message {
    return message("storage-apply-response", this.id, { from: applyThread, entries });
  }

  #currentSoftState(): SoftState {
    return { leader: this.#raft.leader, role: this.#raft.role };
  }

  #softStateChanged(): boolean {
    return this.#softState.leader !== this.#raft.leader || this.#softState.role !== this.#raft.role;
  }

  #hardStateChanged(): boolean {
    const { term, vote, log } = this.#raft;
    const saved = this.#hardState;
    return saved.term !== term || saved.vote !== vote || saved.commit !== log.committed;
  }
}
