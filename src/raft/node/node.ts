/**
 * The driver: one core with a clock, a storage, a transport and a state machine around it.
 *
 * It works in turns. What came in since the last turn is taken together: proposals become one append, reads one
 * question; messages to peers go out at once, while the same entries are being written here; then committed
 * entries are applied, which settles their proposals.
 *
 *   propose, receive, readIndex, tick → (soon) turn → send · write as one group · apply → settled
 *
 * Never: waits inside a turn; lets an answer that promises something durable go before it is.
 */

import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import {
  appendThread,
  applyThread,
  type ConfChange,
  type ConfState,
  Core,
  type CoreConfig,
  type CoreEvent,
  type Entry,
  type Member,
  type Message,
  nobody,
  type PeerFaultReason,
  type PeerId,
  proposal,
  type RaftIndex,
  type Ready,
  type Status,
  type Term,
} from "../core/mod.ts";
import type { ProposalWaiter, RaftStorage, RaftTransport, StateMachine } from "./ports.ts";
import { type Promised, promiseIn } from "./promise.ts";
import { Proposals, type Queued } from "./proposals.ts";
import { Reads, type ReadWaiter } from "./reads.ts";
import { RosterBook } from "./roster.ts";
import { Writer } from "./writer.ts";

export interface RaftNodeOptions {
  readonly peer: PeerId;
  readonly clock: Clock;
  readonly random: CoreConfig["random"];
  readonly storage: RaftStorage;
  readonly transport: RaftTransport;
  readonly machine: StateMachine;
  /** Milliseconds. Default 10: then election and heartbeat ticks are hundredths of a second. */
  readonly tickMs?: number;
  /** Default 100. */
  readonly electionTicks?: number;
  /** Default 10. */
  readonly heartbeatTicks?: number;
  /** Bytes of entries in one append, and in one group written. Default 1 MiB and 4 MiB. */
  readonly messageBytesMax?: number;
  readonly groupBytesMax?: number;
  /** Appends on their way to one follower, and their bytes. Default 256 and 16 MiB. */
  readonly inflightMessagesMax?: number;
  readonly inflightBytesMax?: number;
  /** Proposals taken and not yet applied, in bytes. Default 64 MiB. */
  readonly uncommittedBytesMax?: number;
  /** Proposals that wait for a turn. Default 65,536, and 64 MiB. */
  readonly queuedMax?: number;
  /** Callers that wait for a read. Default 65,536. */
  readonly readsMax?: number;
  /** What the core does, as it happens. */
  readonly observe?: (event: CoreEvent) => void;
  /** A peer sent what cannot be: it was ignored. Can happen once a message. */
  readonly onPeerFault?: (why: PeerFaultReason, message: Message) => void;
  /** Role, term or leader changed. */
  readonly onChange?: (status: NodeStatus) => void;
  /** A hand-over of leadership began, or came to its end. */
  readonly onHandOver?: () => void;
  /** The storage failed: the node has stopped, and the process is to end. */
  readonly onFailure?: (cause: unknown) => void;
}

export interface NodeStatus extends Status {
  readonly leaderMember: Member | undefined;
  readonly diskFull: boolean;
  readonly stopped: boolean;
}

const mebibyte = 1024 * 1024;
const noBytes = new Uint8Array(0);

/** So many ticks are one while nothing is waited for: ten wakes a second, not a hundred, of a node that idles. */
const unhurriedTicks = 10;

export class RaftNode {
  readonly #options: RaftNodeOptions;
  readonly #core: Core;
  readonly #writer: Writer;
  readonly #proposals: Proposals;
  readonly #reads: Reads;
  readonly #roster: RosterBook;
  readonly #electionTicks: number;
  readonly #tickMs: number;
  readonly #messageBytesMax: number;
  #configuration: ConfState;
  #promised: Promised = { term: 0, index: 0 };
  #now = 0;
  #timer: Timer | undefined;
  #scheduled = false;
  #inTurn = false;
  #stopped = false;
  #changeRefused = false;
  /** A follower was to be sent what is damaged here, since the last tick. */
  #unreadable = false;
  /** When the next transfer to a successor may begin, and the pause that was waited for, in ticks. */
  #successionAt = 0;
  #successionPause = 0;
  #askAgain = false;
  #seen: { term: Term; role: string; leader: PeerId };
  #wasHandingOver = false;

  constructor(options: RaftNodeOptions) {
    this.#options = options;
    const { peer: id, storage, random } = options;
    this.#electionTicks = options.electionTicks ?? 100;
    this.#tickMs = options.tickMs ?? 10;
    this.#messageBytesMax = options.messageBytesMax ?? mebibyte;
    const initial = storage.initialState();
    this.#roster = new RosterBook(initial.configuration);
    this.#configuration = { ...initial.configuration, roster: this.#roster.roster };
    this.#core = new Core({
      id,
      storage,
      initial,
      random,
      electionTicks: this.#electionTicks,
      heartbeatTicks: options.heartbeatTicks ?? 10,
      preVote: true,
      checkQuorum: true,
      disableProposalForwarding: true,
      commitByVote: true,
      snapshotsMayPredateUs: true,
      asyncStorage: true,
      messageBytesMax: this.#messageBytesMax,
      applyingBytesMax: 4 * mebibyte,
      uncommittedBytesMax: options.uncommittedBytesMax ?? 64 * mebibyte,
      inflightMessagesMax: options.inflightMessagesMax ?? 256,
      inflightBytesMax: options.inflightBytesMax ?? 16 * mebibyte,
      draft: (change) => storage.format?.draft(change) ?? noBytes,
      observe: (event) => {
        if (event.kind === "change-refused") this.#changeRefused = true;
        if (event.kind === "entries-unreadable") this.#unreadable = true;
        if (event.kind === "peer-fault") options.onPeerFault?.(event.why, event.message);
        options.observe?.(event);
      },
    });
    this.#seen = { term: this.#core.term, role: this.#core.role, leader: this.#core.leader };
    this.#proposals = new Proposals(options.queuedMax ?? 65_536, 64 * mebibyte);
    this.#reads = new Reads(
      {
        waitingMax: options.readsMax ?? 65_536,
        retryTicks: Math.max(1, Math.floor(this.#electionTicks / 2)),
        timeoutTicks: this.#electionTicks * 4,
      },
      random.between(1, 2 ** 31 - 1) * 2 ** 20,
    );
    this.#writer = new Writer(
      {
        storage,
        groupBytesMax: options.groupBytesMax ?? 4 * mebibyte,
        durable: (works) => this.#durable(works),
        failed: (cause) => this.#fail(cause),
        full: () => this.#diskFull(),
      },
      initial.hardState,
    );
    options.transport.members(this.#configuration);
  }

  /** Starts the clock. Without it the node answers, but never campaigns. */
  start(): void {
    assert(this.#timer === undefined && !this.#stopped, "start() once");
    this.#armTick();
    this.wake();
  }

  get peer(): PeerId {
    return this.#core.id;
  }

  get isLeader(): boolean {
    return this.#core.role === "leader" && !this.#stopped;
  }

  /** Is this leader handing over? It takes no proposals then, until another leads or that was given up. */
  get isHandingOver(): boolean {
    return this.#core.transferee !== nobody;
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

  /** The last index in the leader's own log, uncommitted entries included. */
  get lastIndex(): RaftIndex {
    return this.#core.lastIndex;
  }

  /** Has this leader committed an entry of its term? Only then it knows all that is committed. */
  get committedInTerm(): boolean {
    return this.#core.committedInTerm;
  }

  /** The term of an entry that is here, uncommitted ones included. */
  termAt(index: RaftIndex): Term | undefined {
    return this.#core.termAt(index);
  }

  get leader(): Member | undefined {
    return this.#roster.member(this.#core.leader);
  }

  /** The furthest that this node has told others it has, since it was started. */
  get promised(): Promised {
    return this.#promised;
  }

  /** What this peer has acknowledged to this node as its leader, if it did. */
  promisedBy(peer: PeerId): Promised | undefined {
    const match = this.#core.progressOf(peer)?.match ?? 0;
    return match === 0 ? undefined : { term: this.#core.term, index: match };
  }

  /** Who is in it and who they are, as applied here. */
  get configuration(): ConfState {
    return this.#configuration;
  }

  status(): NodeStatus {
    return {
      ...this.#core.status(),
      configuration: this.#configuration,
      leaderMember: this.leader,
      diskFull: this.#writer.full,
      stopped: this.#stopped,
    };
  }

  member(name: string): Member | undefined {
    return this.#roster.named(name);
  }

  /** The number that the next new member is to have. */
  get nextPeer(): PeerId {
    return this.#roster.nextPeer;
  }

  /**
   * Queues entries (see proposal()) to go with the next turn. Answers a Fault when that is not possible: then
   * nothing was or will be written and the waiter is not called.
   */
  propose(entries: readonly Entry[], waiter: ProposalWaiter): Fault | undefined {
    if (this.#stopped) return new Fault("unavailable", { message: "the node is stopping" });
    if (this.#core.role !== "leader") return this.#notLeader();
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
   * Changes the configuration. Resolves once applied here; Fault "failed-precondition" when another change is
   * under way or the configuration does not allow it.
   */
  proposeChange(change: ConfChange): Promise<RaftIndex> {
    const based = { ...change, base: this.#configuration };
    return this.proposeAndWait([proposal(this.#options.storage.format?.draft(based), based)]);
  }

  /**
   * Waits, without a quorum's round trip if others ask too, until everything acknowledged anywhere before this
   * call is applied here. Fault "unavailable" when no leader answers in time.
   */
  readIndex(): Promise<RaftIndex> {
    return new Promise((resolve, reject) => this.read({ ready: resolve, failed: reject }));
  }

  /** The same without a promise. */
  read(waiter: ReadWaiter): void {
    if (this.#stopped) waiter.failed(new Fault("unavailable", { message: "the node is stopping" }));
    else if (!this.#reads.add(waiter)) {
      waiter.failed(new Fault("overloaded", { message: "too many reads are waiting" }));
    } else this.wake();
  }

  /**
   * Takes a message from a peer. One from another directory than the configuration has for the peer is ignored. All that
   * comes from peers passes here, so here is where entries are checked, each one once. Returns Fault "bad-request" when
   * they are damaged: the message was ignored.
   */
  receive(message: Message, directory?: string): Fault | undefined {
    if (this.#stopped) return undefined;
    const known = this.#roster.member(message.from);
    if (directory !== undefined && known !== undefined && known.directory !== directory) return undefined;
    const flaw = this.#options.storage.format?.check(message.entries);
    if (flaw !== undefined) {
      return new Fault("bad-request", {
        message: `an entry from a peer is damaged (${flaw})`,
        facts: { why: flaw },
      });
    }
    this.#looking(() => {
      if (this.#follows(message)) this.#core.step(message);
      else this.#options.onPeerFault?.("not-following", message);
    });
    this.wake();
    return undefined;
  }

  /** Whether the entries of an append that are new here follow what is here, by content too. */
  #follows({ type, term, index, logTerm, entries }: Message): boolean {
    const { format } = this.#options.storage;
    if (type !== "append" || entries.length === 0 || format === undefined) return true;
    // Refused by the core, not needed, or behind a snapshot that is still to be installed.
    if (this.#core.hasSnapshotPending || term < this.#core.term || this.#core.termAt(index) !== logTerm) {
      return true;
    }
    const first = entries.find((entry) => this.#core.termAt(entry.index) !== entry.term);
    if (first === undefined || first.index <= this.#core.committed) return true;
    return format.follows(first, this.#core.unstableEntry(first.index - 1));
  }

  /** What this peer has acknowledged may be gone there: only what it acknowledges from now on counts. */
  forgetProgress(peer: PeerId): void {
    this.#core.forgetProgress(peer);
    this.wake();
  }

  /** Hands leadership to a voter; see Core.transferLeader. Watch onChange for what comes of it. */
  transferLeadership(to: PeerId): void {
    this.#looking(() => this.#core.transferLeader(to));
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
    this.#looking(() => this.#core.reportUnreachable(peer));
    this.wake();
  }

  reportSnapshot(peer: PeerId, delivered: boolean): void {
    this.#looking(() => this.#core.reportSnapshot(peer, delivered));
    this.wake();
  }

  /** Asks for a turn. */
  wake(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#options.clock.soon(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** Stops; what is undecided fails as unknown. Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    this.#halt();
    await this.#writer.stop();
  }

  #armTick(): void {
    const { clock } = this.#options;
    const tickMs = this.#unhurried ? unhurriedTicks * this.#tickMs : this.#tickMs;
    const due = clock.monotonicMs() + tickMs;
    this.#timer = clock.after(tickMs, () => {
      // After a pause, what the sockets hold is read before an election may be called for the silence; and a
      // pause is one tick, however long it was.
      if (clock.monotonicMs() > due + this.#tickMs) clock.soon(() => this.#tick());
      else this.#tick();
    });
  }

  /** Leads itself alone and waits for nothing: no heartbeat is due and no patience runs out, so ticks may be rare. */
  get #unhurried(): boolean {
    const { voters, votersOutgoing, learners } = this.#configuration;
    const isAlone = voters.length === 1 && votersOutgoing.length === 0 && learners.length === 0;
    const isIdle = this.#proposals.pending === 0 && this.#reads.waiting === 0 && this.#writer.idle;
    return isAlone && isIdle && this.isLeader;
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#armTick();
    this.#now++;
    this.#core.reluctant = this.#options.transport.mayCampaign?.() === false;
    this.#looking(() => this.#core.tick());
    if (this.#stopped) return;
    this.#handOverWhenRemoved();
    this.#handOverWhenUnreadable();
    this.#handOverToSuccessors();
    this.#proposals.expire(this.#now);
    this.#reads.expire(this.#now);
    if (this.#now % Math.max(1, Math.floor(this.#electionTicks / 4)) === 0) this.#writer.retry();
    this.#turn();
  }

  #turn(): void {
    this.#looking(() => this.#takeTurn());
  }

  /** The core looks into what is stored; where it cannot go on without what is damaged, this node's part ends. */
  #looking(work: () => void): void {
    try {
      work();
    } catch (cause) {
      if (!(cause instanceof Fault && cause.kind === "corrupt")) throw cause;
      this.#fail(cause);
    }
  }

  #takeTurn(): void {
    if (this.#stopped || this.#inTurn) return;
    this.#inTurn = true;
    this.#options.machine.gather?.();
    this.#proposeQueued();
    this.#reads.ask(this.#now, this.#askAgain, (context) => this.#core.readIndex(context));
    this.#askAgain = false;
    // With a storage that writes at once, one round's writing gives rise to the next: bounded, to let others in.
    for (let rounds = 0; rounds < 16 && this.#core.hasReady() && !this.#stopped; rounds++) {
      this.#handle(this.#core.ready());
    }
    this.#inTurn = false;
    const { term, role, leader } = this.#seen;
    if (this.#core.term !== term || this.#core.role !== role || this.#core.leader !== leader) this.#changed();
    if (this.isHandingOver !== this.#wasHandingOver) {
      this.#wasHandingOver = this.isHandingOver;
      this.#options.onHandOver?.();
    }
    if (this.#core.hasReady()) this.wake();
  }

  #handle(ready: Ready): void {
    const [first] = ready.entries;
    if (first !== undefined) {
      this.#options.storage.format?.seal(ready.entries, this.#core.unstableEntry(first.index - 1));
    }
    const work: Message[] = [];
    const requests = ready.messages.filter(({ type }) => type === "vote");
    for (const message of ready.messages) {
      // With a term that a crash could take back, votes of the others would elect this node in it a second time.
      if (message.type === "vote") continue;
      // An append of a past term is of no use, and its entries may have been replaced before they were sealed.
      if (message.type === "append" && message.term < this.#core.term) continue;
      if (message.to === appendThread) {
        this.#writer.push(
          requests.length === 0
            ? message
            : { ...message, responses: [...requests.splice(0), ...message.responses] },
        );
      } else if (message.to === applyThread) work.push(message);
      else this.#options.transport.send(message);
    }
    assert(requests.length === 0, "a candidate's new term is written");
    for (const state of ready.readStates) this.#reads.answered(state, this.#core.applied);
    for (const message of work) {
      try {
        this.#apply(message);
      } catch (cause) {
        // What cannot be applied is like what cannot be written; anything but a Fault is a broken promise of ours.
        if (!(cause instanceof Fault)) throw cause;
        this.#fail(cause);
        return;
      }
    }
    this.#writer.run();
  }

  #apply(work: Message): void {
    const { machine, transport } = this.#options;
    const { entries } = work;
    let from = 0;
    for (const [at, entry] of entries.entries()) {
      if (entry.change === undefined) continue;
      if (at > from) machine.apply(entries.slice(from, at));
      from = at + 1;
      // Refused: the same on every node, as it depends on the log alone.
      const refused = this.#core.applyChange(entry.change);
      if (refused === undefined) {
        this.#configuration = this.#roster.apply(entry.change, this.#core.configuration);
        transport.members(this.#configuration);
      }
      machine.configure(entry, this.#configuration);
    }
    if (from < entries.length) machine.apply(from === 0 ? entries : entries.slice(from));
    for (const response of work.responses) this.#core.step(response);
    this.#proposals.applied(entries);
    this.#reads.appliedTo(this.#core.applied);
  }

  /** A group is durable: its snapshot is in force, and the answers that waited for it may go. */
  #durable(works: readonly Message[]): void {
    if (this.#stopped) return;
    for (const { snapshot, responses } of works) {
      if (snapshot !== undefined) {
        this.#roster.restore(snapshot.configuration);
        this.#configuration = { ...snapshot.configuration, roster: this.#roster.roster };
        this.#options.machine.restore(snapshot);
        this.#options.transport.members(this.#configuration);
        this.#proposals.coveredBy(snapshot.index);
      }
      for (const response of responses) {
        this.#promise(response);
        if (response.to === this.#core.id) this.#core.step(response);
        else this.#options.transport.send(response);
      }
    }
    this.#reads.appliedTo(this.#core.applied);
    this.#turn();
  }

  /** What leaves only once it is durable: an acknowledgment, a vote, a request for votes. */
  #promise(message: Message): void {
    const made = promiseIn(message);
    const before = this.#promised;
    if (made === undefined || made.term < before.term) return;
    if (made.term > before.term || made.index > before.index) this.#promised = made;
  }

  /** Queued proposals go to the core in appends of up to messageBytesMax; a change goes alone. */
  #proposeQueued(): void {
    let [group, bytes]: [Queued[], number] = [[], 0];
    const flush = (): void => {
      if (group.length > 0) this.#proposeGroup(group);
      [group, bytes] = [[], 0];
    };
    for (const queued of this.#proposals.takeQueued()) {
      const alone = queued.entries.some((entry) => entry.change !== undefined);
      const size = queued.entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
      if (alone || bytes + size > this.#messageBytesMax) flush();
      group.push(queued);
      bytes += size;
      if (alone) flush();
    }
    flush();
  }

  #proposeGroup(group: readonly Queued[]): void {
    const before = this.#core.lastIndex;
    this.#changeRefused = false;
    const first = group[0] as Queued;
    const entries = group.length === 1 ? first.entries : group.flatMap((queued) => queued.entries);
    if (this.#core.propose(entries) !== undefined) {
      for (const { waiter } of group) waiter.failed(this.#refusal());
      return;
    }
    if (this.#changeRefused) {
      first.waiter.failed(
        new Fault("failed-precondition", { message: "the configuration does not allow this change now" }),
      );
      return;
    }
    let last = before;
    for (const queued of group) {
      const first = last + 1;
      last += queued.entries.length;
      this.#proposals.accepted(queued.waiter, first, last, this.#core.term);
    }
  }

  #refusal(): Fault {
    if (this.#core.role !== "leader") return this.#notLeader();
    if (this.#core.transferee !== nobody) {
      return new Fault("unavailable", { message: "leadership is being handed over" });
    }
    return this.#core.progressOf(this.#core.id) === undefined
      ? new Fault("unavailable", { message: "this leader was removed" })
      : new Fault("overloaded", { message: "too much is waiting to be committed" });
  }

  #notLeader(): Fault {
    const { leader } = this;
    return new Fault(leader === undefined ? "unavailable" : "not-leader", {
      message: leader === undefined ? "there is no leader" : "this node is not the leader",
      ...(leader === undefined ? {} : { facts: { leader: leader.name, address: leader.address } }),
    });
  }

  /** Term, role or leader are not what they were at the last turn. */
  #changed(): void {
    const { term, role, leader } = this.#core;
    this.#seen = { term, role, leader };
    this.#proposals.orphan(role === "leader" ? term - 1 : term, this.#now + 2 * this.#electionTicks);
    // Who led may have dropped what it was asked.
    this.#askAgain = true;
    this.wake();
    this.#options.onChange?.(this.status());
  }

  /** A leader that cannot write hands over; anyone else just stays silent. */
  #diskFull(): void {
    this.#handOver();
  }

  /** A follower lacks what is damaged here: whoever has it whole had better lead. Without such a voter all goes on. */
  #handOverWhenUnreadable(): void {
    if (!this.#unreadable) return;
    this.#unreadable = false;
    if (this.#core.role === "leader" && this.#core.transferee === nobody) this.#handOver();
  }

  /**
   * A leader that is no voter any more goes on leading, though it takes no proposals, until another voter has all it
   * has: stepping down at once could leave the rest in the old configuration, waiting for its vote.
   */
  #handOverWhenRemoved(): void {
    if (this.#core.role !== "leader" || this.#core.transferee !== nobody) return;
    if (!isVoter(this.#configuration, this.#core.id)) this.#handOver();
  }

  /**
   * A transfer stops all appends until it is done or given up, so one that came to nothing is tried again after a pause
   * that doubles.
   */
  #handOverToSuccessors(): void {
    if (this.#core.role !== "leader" || this.#core.transferee !== nobody) return;
    const successors = this.#options.transport.successors?.() ?? [];
    if (successors.length === 0) {
      this.#successionPause = 0;
      this.#successionAt = 0;
      return;
    }
    if (this.#now < this.#successionAt) return;
    this.#successionPause = Math.min(
      Math.max(4 * this.#electionTicks, 2 * this.#successionPause),
      64 * this.#electionTicks,
    );
    this.#successionAt = this.#now + this.#successionPause;
    this.#handOver(successors);
  }

  /** Hands leadership to the active voter that has most, or to that of `among`. */
  #handOver(among?: readonly PeerId[]): void {
    const { progress, configuration } = this.#core.status();
    let best: PeerId = nobody;
    let most = 0;
    for (const [peer, { active, match }] of progress ?? []) {
      if (peer === this.#core.id || !active || match <= most || !configuration.voters.includes(peer))
        continue;
      if (among?.includes(peer) === false) continue;
      [best, most] = [peer, match];
    }
    if (best !== nobody) this.transferLeadership(best);
  }

  #fail(cause: unknown): void {
    if (this.#stopped) return;
    this.#halt(cause);
    this.#options.onFailure?.(cause);
  }

  #halt(cause?: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    void this.#writer.stop();
    this.#proposals.abandon(cause);
    this.#reads.abandon(cause);
  }
}

const isVoter = ({ voters, votersOutgoing }: ConfState, peer: PeerId): boolean =>
  voters.includes(peer) || votersOutgoing.includes(peer);
