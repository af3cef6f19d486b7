/**
 * The state of one node, and the operations that all parts of the protocol share. step.ts handles messages, and calls
 * follower.ts, election.ts and leader.ts for each role.
 */
import type { CoreConfig } from "./config.ts";
import { checkConfig } from "./config.ts";
import { fromConfState } from "./configuration.ts";
import type { CoreEvent } from "./events.ts";
import { RaftLog } from "./log.ts";
import { ReadOnly } from "./read-only.ts";
import { Tracker } from "./tracker.ts";
import {
  type ConfChange,
  type Entry,
  type HardState,
  type Message,
  noPeer,
  type PeerId,
  proposal,
  type RaftIndex,
  type RaftRole,
  type ReadState,
  type SoftState,
  type Term,
} from "./types.ts";

export class Raft {
  readonly id: PeerId;
  readonly config: CoreConfig;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly emit: (event: CoreEvent) => void;

  /** Invariant: never falls. */
  term: Term = 0;
  /** The peer that got this node's vote in this term. Invariant: changes at most once in a term. */
  vote: PeerId = noPeer;
  leader: PeerId = noPeer;
  role: RaftRole = "follower";

  /** Ticks since the last message from a leader or the start of an election; on a leader, since the last quorum check. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  electionTimeout = 0;
  /** Elections that may still begin soon after the one before, because the last leader's process is gone. */
  hasteLeft = 0;
  /** The driver knows a reason why this node should not lead. It does not campaign, even on request. */
  reluctant = false;

  // On a leader.
  /** Leadership is being transferred to this peer. Proposals are dropped until that ends. */
  transferee: PeerId = noPeer;
  /** The newest configuration change may be at this index. No other is proposed before it is applied. */
  pendingConfIndex: RaftIndex = 0;
  uncommittedBytes = 0;
  reads = new ReadOnly();
  /** Reads that came before this term's first entry was committed. */
  earlyReads: Message[] = [];

  // For the next Ready.
  messages: Message[] = [];
  /** Sent only once all entries accepted so far are durable. */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];

  constructor(config: CoreConfig) {
    checkConfig(config);
    this.id = config.id;
    this.config = config;
    this.emit = config.observe ?? (() => {});
    const applyingMax = config.applyingBytesMax ?? config.messageBytesMax ?? Number.POSITIVE_INFINITY;
    this.log = new RaftLog(config.storage, applyingMax, this.emit);
    this.tracker = new Tracker(config.inflightMessagesMax, config.inflightBytesMax ?? 0);
    const { hardState, configuration, applied } = config.initial;
    this.tracker.switchTo(fromConfState(configuration), this.log.lastIndex);
    this.emit({ kind: "configuration-switched", configuration: this.tracker.configuration });
    this.term = hardState.term;
    this.vote = hardState.vote;
    // A commit index may be durable before the entries it came with.
    this.log.commitTo(Math.min(Math.max(hardState.commit, applied), this.log.lastIndex));
    if (applied > this.log.applied) this.log.appliedTo(applied, 0);
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  get softState(): SoftState {
    return { leader: this.leader, role: this.role };
  }

  get singleton(): boolean {
    return this.tracker.isSingleton && this.tracker.isVoter(this.id);
  }

  /** Whether this node may become leader. */
  get promotable(): boolean {
    const own = this.tracker.progress.get(this.id);
    return own !== undefined && !own.learner && this.log.pendingSnapshot === undefined && !this.reluctant;
  }

  /** Queues a message. Responses that promise something durable wait until it is; all others are sent at once. */
  send(message: Message): void {
    switch (message.type) {
      case "append-response":
      case "vote-response":
      case "pre-vote-response":
        this.messagesAfterAppend.push(message);
        break;
      default:
        this.messages.push(message);
    }
  }

  /** An entry that the core proposes itself: empty, or with a change of configuration. */
  ownProposal(change?: ConfChange): Entry {
    return proposal(this.config.draft?.(change), change);
  }

  /** Enters `term` without a leader. The vote is kept if the term is the same. */
  reset(term: Term): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = noPeer;
    }
    this.leader = noPeer;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.drawElectionTimeout();
    this.transferee = noPeer;
    this.tracker.reset(this.id, this.log.lastIndex);
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    const unanswered = this.reads.count + this.earlyReads.length;
    if (unanswered > 0) this.emit({ kind: "reads-dropped", count: unanswered });
    this.reads = new ReadOnly();
    this.earlyReads = [];
  }

  drawElectionTimeout(): void {
    const { electionTicks, random } = this.config;
    this.electionTimeout = electionTicks + random.between(0, electionTicks - 1);
  }

  /** The leader's process is gone: this election, and a few after split votes, do not wait for a full timeout. */
  hasten(): void {
    if (this.hasteLeft === 0) return;
    this.hasteLeft--;
    // Longer than it takes to request a vote, make it durable and answer it.
    const ticks = this.config.connectionLostTicks ?? 5;
    this.electionTimeout = this.config.random.between(2 * ticks, 6 * ticks);
  }

  /** Whether an entry of this term is committed. Before that a leader does not know what is committed. */
  get committedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }
}
