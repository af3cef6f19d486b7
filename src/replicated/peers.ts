/**
 * The network of peers: links to every member of the configuration, and what comes in from them.
 *
 *   Replica ── send, append, trim ──► PeerLink (one a member) ── control, bulk ──► sockets that this node dialled
 *   Replica ◄─ messages ── PeerIncoming ◄── sockets that came in ── questions ──► PeerServer ──► log, PeerService
 *
 * Each node dials what it sends on, so that nobody has to agree on who calls, and each learns by itself when nobody
 * listens any more where the leader was.
 *
 * Never: opens a socket itself (the agent dials and accepts), decides who is a member.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../fault.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Prng } from "../lib/prng.ts";
import { RateGate } from "../lib/rate-gate.ts";
import { type Logger, type Metrics, noLogger, noMetrics } from "../lib/telemetry.ts";
import type { ConfState, Member, Message, PeerId, RaftTransport } from "../raft/mod.ts";
import type { Appended, AppendOptions, Offset, RecordRun } from "../vocabulary.ts";
import { PeerClocks } from "./peer-clocks.ts";
import {
  encodeIntroduction,
  type Introduction,
  judgeCaller,
  type PeerHello,
  peerOfHello,
  type Refusal,
} from "./peer-handshake.ts";
import { PeerIncoming } from "./peer-incoming.ts";
import { PeerLink } from "./peer-link.ts";
import { PeerMeter } from "./peer-meter.ts";
import type { QueueBounds } from "./peer-queue.ts";
import { type Question, valueQuestion } from "./peer-requests.ts";
import { type ForwardedCaller, PeerServer, type PeerService } from "./peer-server.ts";
import { visit } from "./peer-visit.ts";
import type { Replica } from "./replica.ts";
import type { Forwarder } from "./replicated-log.ts";

export type { PeerHello } from "./peer-handshake.ts";
export type { ForwardedCaller, PeerService } from "./peer-server.ts";

export interface PeerNetworkOptions {
  /** Asked anew for each handshake. */
  readonly self: () => PeerHello;
  /**
   * A socket towards a peer, its marker byte or ALPN dealt with; errors arrive as its events. `name` is that of the
   * member that is expected there, when one is.
   */
  readonly dial: (address: string, name: string | undefined) => Duplex;
  readonly clock: Clock;
  readonly random: Prng;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly serve: PeerService;
  /** Decides once more here, at the leader, about what came in elsewhere. Throws the Fault that refuses it. */
  readonly authorize?: (caller: ForwardedCaller, action: "produce" | "trim") => void;
  readonly limits?: Partial<PeerLimits>;
}

export interface PeerLimits {
  /** What waits to be sent, a lane. */
  readonly control: QueueBounds;
  readonly bulk: QueueBounds;
  /** Requests on their way over one lane, and those of one connection that are being answered. */
  readonly requestsMax: number;
  /** Bytes that came with the requests of one connection that are being answered. */
  readonly requestBytesMax: number;
  /** Connections that came in. */
  readonly incomingMax: number;
  /** Probes and questions to nodes that no link leads to, under way at once. */
  readonly visitsMax: number;
  readonly handshakeMs: number;
  /** For questions without a deadline. */
  readonly questionMs: number;
  /** For forwarded writes without a deadline. */
  readonly forwardMs: number;
  readonly tickMs: number;
  /** Ticks without a byte moved after which a link, or a connection that came in, is taken to be dead. */
  readonly silentTicksMax: number;
  readonly incomingSilentTicksMax: number;
}

const mebibyte = 1024 * 1024;
export const defaultPeerLimits: PeerLimits = {
  control: { countMax: 16_384, bytesMax: 4 * mebibyte },
  bulk: { countMax: 16_384, bytesMax: 32 * mebibyte },
  requestsMax: 16_384,
  requestBytesMax: 64 * mebibyte,
  incomingMax: 256,
  visitsMax: 64,
  handshakeMs: 5_000,
  questionMs: 5_000,
  forwardMs: 15_000,
  tickMs: 1_000,
  silentTicksMax: 5,
  incomingSilentTicksMax: 30,
};

/** One member as this node's links see it. */
export interface PeerStatus {
  readonly name: string;
  readonly address: string;
  /** Are both links to it open? */
  readonly connected: boolean;
  /** Milliseconds since anything was heard of it; infinite when nothing was. */
  readonly silentMs: number;
  /** What it said of itself when a link was last opened. */
  readonly hello: PeerHello | undefined;
  /** How far its clock is ahead of this node's, in milliseconds, where that is known. */
  readonly clockOffMs: number | undefined;
  /** Why it, or this node, refuses the link. */
  readonly refused: string | undefined;
}

/** Lines a second that strangers can cause. */
const refusalLinesPerSecond = 2;

export class PeerNetwork implements RaftTransport, Forwarder, AsyncDisposable {
  readonly #options: PeerNetworkOptions;
  readonly #limits: PeerLimits;
  readonly #logger: Logger;
  readonly #meter: PeerMeter;
  readonly #clocks = new PeerClocks();
  readonly #links = new Map<PeerId, PeerLink>();
  readonly #incoming = new Set<PeerIncoming>();
  readonly #gate = new RateGate(refusalLinesPerSecond);
  #roster: readonly Member[] = [];
  #replica: Replica | undefined;
  #peer: PeerId | undefined;
  #visits = 0;
  #timer: Timer | undefined;
  #wasTrusted = true;
  #closed = false;

  constructor(options: PeerNetworkOptions) {
    this.#options = options;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
    this.#logger = options.logger ?? noLogger;
    this.#meter = new PeerMeter(options.metrics ?? noMetrics, {
      peers: () => this.peers(),
      queuedBytes: (lane) => [...this.#links.values()].reduce((sum, link) => sum + link.queuedBytes(lane), 0),
    });
    this.#arm();
  }

  /** What comes in for Raft goes there from now on, and what becomes of links is told it. Before it is started. */
  attach(replica: Replica): void {
    this.#replica = replica;
  }

  /**
   * A peer's connection that came in, with or without the marker in front. `allowed` answers why this peer may not be
   * one here, if so.
   */
  accept(socket: Duplex, allowed: (hello: PeerHello) => string | undefined): void {
    const { clock } = this.#options;
    const { handshakeMs, incomingMax, control, bulk } = this.#limits;
    if (this.#closed || this.#incoming.size >= incomingMax) {
      this.#logger.warn({ connections: this.#incoming.size }, "a peer's connection was turned away");
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const incoming = new PeerIncoming({
      socket,
      clock,
      handshakeMs,
      // Answers only: as many may wait as may be asked for.
      bounds: { countMax: control.countMax, bytesMax: bulk.bytesMax },
      judge: (introduction) => this.#judge(introduction, allowed),
      welcome: ({ lane }) => encodeIntroduction("welcome", lane, this.#options.self()),
      opened: (from, introduction) => this.#opened(from, introduction),
      message: (from, message) => this.#received(from, message),
      closed: (from, fault) => this.#ended(from, fault),
    });
    this.#incoming.add(incoming);
  }

  /** Who is there. Fault "unavailable" when nobody answers, else why not. */
  async probe(address: string, options: { readonly timeoutMs?: number } = {}): Promise<PeerHello> {
    const { hello } = await this.#visit(address, undefined, options.timeoutMs);
    return hello;
  }

  /**
   * Asks a node's PeerService. `deadlineMs` is a wall-clock time. Rejects with the fault of the service, or one that
   * says how far the question had come: "unavailable" is not asked at all.
   */
  async ask(
    address: string,
    verb: string,
    body: unknown,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<unknown> {
    const question = valueQuestion(verb, body);
    const deadlineMs = options.deadlineMs ?? this.#options.clock.wallMs() + this.#limits.questionMs;
    for (const link of this.#links.values()) {
      if (link.callee.address === address && link.canAsk) return link.ask(question, deadlineMs);
    }
    const { answer } = await this.#visit(address, question, deadlineMs - this.#options.clock.wallMs());
    return answer;
  }

  send(message: Message): void {
    this.#links.get(message.to)?.send(message);
  }

  members(configuration: ConfState): void {
    const roster = configuration.roster?.members ?? [];
    this.#roster = roster;
    if (this.#closed) return;
    const own = this.#options.self().directory;
    this.#peer = peerOfHello({ directory: own });
    const wanted = new Map(
      roster.filter(({ directory }) => directory !== own).map((member) => [member.peer, member]),
    );
    for (const [peer, link] of this.#links) {
      const member = wanted.get(peer);
      if (member?.address === link.callee.address && member.name === link.callee.name) wanted.delete(peer);
      else if (member !== undefined || !this.#isHeard(peer)) this.#remove(peer, link);
    }
    for (const [peer, member] of wanted) this.#links.set(peer, this.#link(peer, member));
  }

  /** False while its clock is not to be trusted with the log's time. */
  mayCampaign(): boolean {
    return this.clockTrusted;
  }

  async append(leader: string, run: RecordRun, options: AppendOptions): Promise<Appended> {
    return this.#linkTo(leader).append(run, options, this.#deadline(options));
  }

  async trim(leader: string, before: Offset, options: AppendOptions): Promise<Offset> {
    return this.#linkTo(leader).trim(before, options, this.#deadline(options));
  }

  /** The other members and how the links to them stand. */
  peers(): readonly PeerStatus[] {
    const now = this.#options.clock.monotonicMs();
    return this.#memberLinks().map(({ callee, connected, heardMs, hello, refused }) => ({
      name: callee.name,
      address: callee.address,
      connected,
      silentMs: heardMs === undefined ? Number.POSITIVE_INFINITY : now - heardMs,
      hello,
      clockOffMs: this.#clocks.offMs(callee.name, now),
      refused,
    }));
  }

  /** False while this node's clock is more than 10 s off those of a majority of its cluster: then it must not lead. */
  get clockTrusted(): boolean {
    const names = this.#memberLinks().map(({ callee }) => callee.name);
    return this.#clocks.trusted(names, this.#options.clock.monotonicMs());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#meter[Symbol.dispose]();
    for (const [peer, link] of [...this.#links]) this.#remove(peer, link);
    const fault = new Fault("unavailable", { message: "this node is stopping" });
    for (const incoming of [...this.#incoming]) incoming.close(fault);
  }

  // ————— what this node sends on

  #link(peer: PeerId, { name, directory, address }: Member): PeerLink {
    const { clock, random, self, dial } = this.#options;
    const { control, bulk, requestsMax, silentTicksMax, handshakeMs } = this.#limits;
    const facts = { peer: name, address };
    const node = (): Replica["node"] | undefined =>
      this.#links.get(peer) === link && this.#replica?.started === true ? this.#replica.node : undefined;
    const link: PeerLink = new PeerLink({
      clock,
      random: random.stream(`${name}/${address}`),
      self,
      dial,
      handshakeMs,
      callee: { name, directory, address },
      clocks: this.#clocks,
      control,
      bulk,
      requestsMax,
      silentTicksMax,
      events: {
        unreachable: () => node()?.reportUnreachable(peer),
        gone: () => node()?.connectionRefused(peer),
        snapshot: (delivered) => node()?.reportSnapshot(peer, delivered),
        dropped: (lane) => this.#meter.dropped(lane),
        opened: (lane) => {
          this.#meter.opened(lane);
          this.#logger.debug({ ...facts, lane }, "linked to a peer");
          if (link.connected) this.#logger.info(facts, "linked to a peer");
        },
        lost: (lane, fault, wasOpen) => {
          if (wasOpen && this.#links.get(peer) === link) {
            this.#logger.warn(
              { ...facts, lane, why: fault.message, ...fault.facts },
              "a link to a peer was lost",
            );
          } else if (fault.kind !== "unavailable")
            this.#warnOfRefusal({ ...facts, lane }, fault, "a peer refused the link");
        },
      },
    });
    return link;
  }

  /**
   * Whoever is let in is answered, also a leader that this node's configuration does not name: that is old, or there is
   * none yet, and only what the leader sends will make it new. Such a link lasts as long as the leader's.
   */
  #answerTo(hello: PeerHello): void {
    const peer = peerOfHello(hello);
    const link = this.#links.get(peer);
    if (link !== undefined) link.hurry();
    else if (peer !== this.#peer) this.#links.set(peer, this.#link(peer, { ...hello, peer }));
  }

  /** Does this peer, member or not, hold a lane of Raft's to here? */
  #isHeard(peer: PeerId): boolean {
    for (const { introduction } of this.#incoming) {
      if (introduction === undefined || introduction.lane === "visit") continue;
      if (peerOfHello(introduction.hello) === peer) return true;
    }
    return false;
  }

  #memberLinks(): PeerLink[] {
    return [...this.#links].flatMap(([peer, link]) => (this.#isMember(peer) ? [link] : []));
  }

  #isMember(peer: PeerId): boolean {
    return this.#roster.some((member) => member.peer === peer);
  }

  #remove(peer: PeerId, link: PeerLink): void {
    this.#links.delete(peer);
    this.#clocks.forget(link.callee.name);
    link.close();
  }

  #linkTo(name: string): PeerLink {
    for (const link of this.#links.values()) if (link.callee.name === name) return link;
    throw new Fault("unavailable", {
      message: `${name} is no member that this node knows`,
      facts: { leader: name },
    });
  }

  #deadline({ deadlineMs }: AppendOptions): number {
    return deadlineMs ?? this.#options.clock.wallMs() + this.#limits.forwardMs;
  }

  async #visit(
    address: string,
    question: Question | undefined,
    timeoutMs = this.#limits.questionMs,
  ): ReturnType<typeof visit> {
    if (this.#closed) throw new Fault("unavailable", { message: "this node is stopping" });
    if (this.#visits >= this.#limits.visitsMax) {
      throw new Fault("overloaded", { message: "too many other nodes are being asked" });
    }
    this.#visits++;
    try {
      return await visit(this.#options, address, question, this.#options.clock.wallMs() + timeoutMs);
    } finally {
      this.#visits--;
    }
  }

  // ————— what comes in

  #judge(introduction: Introduction, allowed: (hello: PeerHello) => string | undefined): Refusal | undefined {
    const refusal = judgeCaller(introduction, {
      self: this.#options.self(),
      directoryOf: (name) => this.#roster.find((member) => member.name === name)?.directory,
      allowed,
    });
    if (refusal !== undefined) this.#meter.refused(refusal.reason);
    return refusal;
  }

  #opened(incoming: PeerIncoming, { hello, lane }: Introduction): PeerServer {
    const { clock, serve, authorize } = this.#options;
    const { requestsMax, requestBytesMax } = this.#limits;
    if (lane !== "visit") {
      // One of each: an older one is what is left of a connection that the peer has given up.
      for (const other of [...this.#incoming]) {
        const known = other.introduction;
        if (other === incoming || known?.lane !== lane || known.hello.directory !== hello.directory) continue;
        other.close(new Fault("unavailable", { message: "the peer has connected anew" }));
      }
      this.#answerTo(hello);
    }
    return new PeerServer({
      clock,
      from: hello,
      log: () => (this.#replica?.started === true ? this.#replica.log : undefined),
      service: serve,
      authorize,
      answer: (frame) => incoming.answer(frame),
      requestsMax,
      requestBytesMax,
    });
  }

  #received(incoming: PeerIncoming, message: Message): void {
    const replica = this.#replica;
    const introduction = incoming.introduction;
    if (introduction === undefined || replica?.started !== true || message.to !== this.#peer) return;
    const { directory } = introduction.hello;
    const sender = peerOfHello({ directory });
    if (message.from === sender) replica.node.receive(message, directory);
    // A member may pass on another's wish, and only such: for a read, or for a change of leader.
    else if (isPassedOn(message) && this.#roster.some(({ peer }) => peer === sender))
      replica.node.receive(message);
  }

  #ended(incoming: PeerIncoming, fault: Fault): void {
    this.#incoming.delete(incoming);
    const hello = incoming.introduction?.hello;
    if (hello !== undefined) this.#forget(peerOfHello(hello));
    if (fault.kind === "unavailable" || fault.kind === "canceled") return;
    this.#warnOfRefusal(
      hello === undefined ? {} : { peer: hello.name, address: hello.address },
      fault,
      "a peer's connection was ended",
    );
  }

  /** What was only answered ends with the last that came from it. */
  #forget(peer: PeerId): void {
    const link = this.#links.get(peer);
    if (link !== undefined && !this.#isMember(peer) && !this.#isHeard(peer)) this.#remove(peer, link);
  }

  #warnOfRefusal(facts: object, fault: Fault, sentence: string): void {
    if (!this.#gate.pass(this.#options.clock.monotonicMs())) return;
    const unlogged = this.#gate.takeHeld();
    this.#logger.warn(
      { ...facts, why: fault.message, ...fault.facts, ...(unlogged > 0 ? { unlogged } : {}) },
      sentence,
    );
  }

  // ————— time

  #arm(): void {
    const { clock } = this.#options;
    // What the sockets hold is read before silence is counted: this process may have stood still, for one tick.
    this.#timer = clock.after(this.#limits.tickMs, () => clock.soon(() => this.#tick()));
  }

  #tick(): void {
    if (this.#closed) return;
    this.#arm();
    for (const link of this.#links.values()) link.tick();
    for (const incoming of [...this.#incoming]) incoming.tick(this.#limits.incomingSilentTicksMax);
    const trusted = this.clockTrusted;
    if (trusted === this.#wasTrusted) return;
    this.#wasTrusted = trusted;
    const clocks = Object.fromEntries(this.peers().map(({ name, clockOffMs }) => [name, clockOffMs]));
    if (trusted) this.#logger.info({ clocks }, "this node's clock agrees with its peers again");
    else {
      this.#logger.warn(
        { clocks },
        "this node's clock is more than 10 s off a majority of its cluster, it does not campaign",
      );
    }
  }
}

const isPassedOn = ({ type }: Message): boolean => type === "read-index" || type === "transfer-leader";
