/**
 * The driver: one core with a clock, a storage, a transport and a state machine around it.
 *
 *   propose, receive, read, tick → (soon) turn → send · write as one group · apply → waiters are answered
 *
 * A node works in turns (turn.ts). Messages to peers are sent at once, while the same entries are being written here.
 * The work is done by the parts of the node.
 */
import { Fault } from "../../fault.ts";
import {
  type ConfChange,
  type ConfState,
  Core,
  type CoreEvent,
  type Entry,
  type Member,
  type Message,
  noPeer,
  type PeerId,
  proposal,
  type RaftIndex,
  type Term,
} from "../core/mod.ts";
import { HandOver } from "./hand-over.ts";
import {
  coreConfig,
  type NodeSettings,
  type NodeStatus,
  nodeSettings,
  type RaftNodeOptions,
} from "./options.ts";
import type { ProposalWaiter } from "./ports.ts";
import { PromiseBook, type Promised, withEntryTerm } from "./promise.ts";
import { Proposals } from "./proposals.ts";
import { Proposer } from "./proposer.ts";
import { RaftMembership } from "./raft-membership.ts";
import { firstContext, Reads, type ReadWaiter, readQueueLimits } from "./reads.ts";
import { Receiver } from "./receiver.ts";
import { ReportedState } from "./reported-state.ts";
import { Ticker } from "./ticker.ts";
import { Turn } from "./turn.ts";
import { Writer } from "./writer.ts";

export class RaftNode {
  readonly #options: RaftNodeOptions;
  readonly #settings: NodeSettings;
  readonly #core: Core;
  readonly #membership: RaftMembership;
  readonly #writer: Writer;
  readonly #proposals: Proposals;
  readonly #proposer: Proposer;
  readonly #reads: Reads;
  readonly #promises = new PromiseBook();
  readonly #receiver: Receiver;
  readonly #handOver: HandOver;
  readonly #ticker: Ticker;
  readonly #turn: Turn;
  /** Ticks since the start. */
  #now = 0;
  #isScheduled = false;
  #isStopped = false;
  /** The next turn asks all unanswered reads again. */
  #askAgain = false;
  readonly #reported: ReportedState;

  constructor(options: RaftNodeOptions) {
    const { storage, transport, machine, clock, onPeerFault } = options;
    const { format } = storage;
    this.#options = options;
    const settings = nodeSettings(options);
    this.#settings = settings;
    const { electionTicks, messageBytesMax } = settings;
    const initial = storage.initialState();
    const core = new Core(coreConfig(options, settings, initial, (event) => this.#observed(event)));
    this.#core = core;
    this.#reported = new ReportedState(core);
    const membership = new RaftMembership(initial.configuration);
    this.#membership = membership;
    const proposals = new Proposals(settings.queuedMax, settings.queuedBytesMax);
    this.#proposals = proposals;
    const proposer = new Proposer({ core, proposals, messageBytesMax, leader: () => this.leader });
    this.#proposer = proposer;
    const reads = new Reads(readQueueLimits(settings), firstContext(options.random));
    this.#reads = reads;
    this.#receiver = new Receiver({ core, membership, format, onPeerFault });
    const transfer = (to: PeerId): void => this.transferLeadership(to);
    this.#handOver = new HandOver({ core, membership, transport, electionTicks, transfer });
    this.#ticker = new Ticker({
      ...{ clock, tickMs: settings.tickMs },
      tick: () => this.#tick(),
      isIdle: () => this.#isIdle,
    });
    const writer = new Writer(
      {
        storage,
        groupBytesMax: settings.groupBytesMax,
        beforeWrite: () => transport.flush?.(),
        durable: (works) => this.#durable(works),
        failed: (cause) => this.#fail(cause),
        // A leader that cannot write hands over. Any other node only stops answering.
        full: () => this.#handOver.toBest(),
      },
      initial.hardState,
    );
    this.#writer = writer;
    const parts = { core, writer, membership, proposals, proposer, reads };
    this.#turn = new Turn({
      ...parts,
      machine,
      transport,
      format,
      promises: this.#promises,
      isStopped: () => this.#isStopped,
      failed: (cause) => this.#fail(cause),
    });
    transport.members(membership.configuration);
  }

  /** Starts the clock. Before that the node answers peers, but does not campaign. */
  start(): void {
    this.#ticker.start();
    this.wake();
  }

  get peer(): PeerId {
    return this.#core.id;
  }

  get isLeader(): boolean {
    return this.#core.role === "leader" && !this.#isStopped;
  }

  /** Whether this leader is handing over. Until another node leads, or the transfer is given up, it takes no proposals. */
  get isHandingOver(): boolean {
    return this.#core.transferee !== noPeer;
  }

  get term(): Term {
    return this.#core.term;
  }

  get committed(): RaftIndex {
    return this.#core.committed;
  }

  get applied(): RaftIndex {
    return this.#core.applied;
  }

  /** The last index in this node's own log, uncommitted entries included. */
  get lastIndex(): RaftIndex {
    return this.#core.lastIndex;
  }

  /** Whether an entry of this term is committed. Only then a leader knows all that is committed. */
  get committedInTerm(): boolean {
    return this.#core.committedInTerm;
  }

  /** The term of an entry in this node's log, uncommitted ones included. */
  termAt(index: RaftIndex): Term | undefined {
    return this.#core.termAt(index);
  }

  get leader(): Member | undefined {
    return this.#membership.member(this.#core.leader);
  }

  /** The furthest promise that this node has sent since it was started. */
  get promised(): Promised {
    return this.#promises.furthest;
  }

  /** What this peer has acknowledged to this node as its leader, if anything. */
  promisedBy(peer: PeerId): Promised | undefined {
    const index = this.#core.progressOf(peer)?.match ?? 0;
    return index === 0 ? undefined : withEntryTerm({ term: this.#core.term, index }, this.termAt(index));
  }

  /** The configuration as applied here, with its roster. */
  get configuration(): ConfState {
    return this.#membership.configuration;
  }

  status(): NodeStatus {
    return {
      ...this.#core.status(),
      configuration: this.configuration,
      leaderMember: this.leader,
      diskFull: this.#writer.full,
      stopped: this.#isStopped,
    };
  }

  member(name: string): Member | undefined {
    return this.#membership.named(name);
  }

  /** The number for the next new member. */
  get nextPeer(): PeerId {
    return this.#membership.nextPeer;
  }

  /**
   * Queues entries (see proposal()) for the next turn. Returns a Fault if that is not possible: then nothing was or will be
   * written and the waiter is not called.
   */
  propose(entries: readonly Entry[], waiter: ProposalWaiter): Fault | undefined {
    if (this.#isStopped) return stopping();
    if (this.#core.role !== "leader") return this.#proposer.notLeader();
    if (!this.#proposals.queue({ entries, waiter })) {
      return new Fault("overloaded", { message: "too many proposals are waiting" });
    }
    this.wake();
    return undefined;
  }

  /** Proposes entries and resolves with the index of the last one once they are applied; rejects with a Fault. */
  proposeAndWait(entries: readonly Entry[]): Promise<RaftIndex> {
    return new Promise((resolve, reject) => {
      const refused = this.propose(entries, { applied: resolve, failed: reject });
      if (refused !== undefined) reject(refused);
    });
  }

  /**
   * Changes the configuration. Resolves once applied here; rejects with Fault "failed-precondition" while another change is
   * not applied yet, or if the configuration does not allow this one.
   */
  proposeChange(change: ConfChange): Promise<RaftIndex> {
    const based = { ...change, base: this.configuration };
    return this.proposeAndWait([proposal(this.#options.storage.format?.draft(based), based)]);
  }

  /**
   * Resolves once everything acknowledged by any node before this call is applied here. Callers of one turn share one
   * question to the leader. Rejects with Fault "unavailable" when no leader answers in time.
   */
  readIndex(): Promise<RaftIndex> {
    return new Promise((resolve, reject) => this.read({ ready: resolve, failed: reject }));
  }

  /** The same without a promise. */
  read(waiter: ReadWaiter): void {
    if (this.#isStopped) waiter.failed(stopping());
    else if (!this.#reads.add(waiter)) {
      waiter.failed(new Fault("overloaded", { message: "too many reads are waiting" }));
    } else this.wake();
  }

  /**
   * Takes a message from a peer. One from another directory than the configuration has for the peer is ignored. Returns
   * Fault "bad-request" if its entries are damaged: then it is ignored, too.
   */
  receive(message: Message, directory?: string): Fault | undefined {
    if (this.#isStopped) return undefined;
    let fault: Fault | undefined;
    this.#guarded(() => {
      fault = this.#receiver.receive(message, directory);
    });
    this.wake();
    return fault;
  }

  /** This peer may have lost entries that it acknowledged: from now on only new acknowledgments count. */
  forgetProgress(peer: PeerId): void {
    this.#core.forgetProgress(peer);
    this.wake();
  }

  /** Hands leadership to a voter; see Core.transferLeader. onChange tells the outcome. */
  transferLeadership(to: PeerId): void {
    this.#guarded(() => this.#core.transferLeader(to));
    this.wake();
  }

  campaign(): void {
    this.#core.campaign();
    this.wake();
  }

  /** A connection to this peer was refused. */
  connectionRefused(peer: PeerId): void {
    this.#core.leaderConnectionLost(peer);
    this.reportUnreachable(peer);
  }

  /** Messages to this peer may have been lost. */
  reportUnreachable(peer: PeerId): void {
    this.#guarded(() => this.#core.reportUnreachable(peer));
    this.wake();
  }

  /** Whether a snapshot sent to this peer was delivered. */
  reportSnapshot(peer: PeerId, delivered: boolean): void {
    this.#guarded(() => this.#core.reportSnapshot(peer, delivered));
    this.wake();
  }

  /** Asks for a turn. */
  wake(): void {
    if (this.#isScheduled || this.#isStopped) return;
    this.#isScheduled = true;
    this.#options.clock.soon(() => {
      this.#isScheduled = false;
      this.#takeTurn();
    });
  }

  /** Stops; what is undecided fails as unknown. Resolves when no write is under way. */
  async close(): Promise<void> {
    this.#stop();
    await this.#writer.stop();
  }

  /** Leads itself alone and waits for nothing: no heartbeat is due and no timeout runs. */
  get #isIdle(): boolean {
    const waitsForNothing = this.#proposals.pending === 0 && this.#reads.waiting === 0 && this.#writer.idle;
    return this.#membership.isAlone && waitsForNothing && this.isLeader;
  }

  #tick(): void {
    this.#now++;
    this.#core.reluctant = this.#options.transport.mayCampaign?.() === false;
    this.#guarded(() => this.#core.tick());
    if (this.#isStopped) return;
    this.#handOver.tick(this.#now);
    this.#proposals.expire(this.#now);
    this.#reads.expire(this.#now);
    if (this.#now % Math.max(1, Math.floor(this.#settings.electionTicks / 4)) === 0) this.#writer.retry();
    this.#takeTurn();
  }

  #takeTurn(): void {
    this.#guarded(() => {
      const askAgain = this.#askAgain;
      if (!this.#turn.take(this.#now, askAgain)) return;
      if (askAgain) this.#askAgain = false;
      this.#reportChanges();
      if (this.#core.hasReady()) this.wake();
    });
  }

  #durable(works: readonly Message[]): void {
    if (this.#isStopped) return;
    this.#turn.durable(works);
    this.#takeTurn();
  }

  /** The core reads stored entries. Where it needs damaged ones, this node stops. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (cause) {
      if (!(cause instanceof Fault && cause.kind === "corrupt")) throw cause;
      this.#fail(cause);
    }
  }

  #observed(event: CoreEvent): void {
    if (event.kind === "change-refused") this.#proposer.noteChangeRefused();
    if (event.kind === "entries-unreadable") this.#handOver.noteUnreadable();
    if (event.kind === "peer-fault") this.#options.onPeerFault?.(event.why, event.message);
    this.#options.observe?.(event);
  }

  /** Reports what changed since the last turn. */
  #reportChanges(): void {
    const { leadership, handOver } = this.#reported.changes();
    if (leadership) {
      const { role, term } = this.#core;
      this.#proposals.orphan(
        role === "leader" ? term - 1 : term,
        this.#now + 2 * this.#settings.electionTicks,
      );
      // A deposed leader may have dropped the questions that it was asked.
      this.#askAgain = true;
      this.wake();
      this.#options.onChange?.(this.status());
    }
    if (handOver) this.#options.onHandOver?.();
  }

  #fail(cause: unknown): void {
    if (this.#isStopped) return;
    this.#stop(cause);
    this.#options.onFailure?.(cause);
  }

  #stop(cause?: unknown): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#ticker.stop();
    void this.#writer.stop();
    this.#proposals.abandon(cause);
    this.#reads.abandon(cause);
  }
}

const stopping = (): Fault => new Fault("unavailable", { message: "the node is stopping" });
