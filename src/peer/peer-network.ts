/**
 * The network of peers: links to every member of the configuration, and what comes in from them.
 *
 *   Replica ── send, append, trim ──► PeerLink (one a member) ── control, bulk ──► sockets that this node dialled
 *   Replica ◄─ messages ── PeerAcceptor ◄── sockets that came in ── questions ──► RequestServer ──► log, PeerService
 *
 * Each node dials what it sends on, so that nobody has to agree on who calls, and each learns by itself when nobody
 * listens any more where the leader was.
 *
 * Never: opens a socket itself (the agent dials and accepts), decides who is a member.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../fault.ts";
import { type Logger, noLogger, noMetrics } from "../lib/telemetry.ts";
import type { Timer } from "../lib/time/clock.ts";
import { RateGate } from "../lib/time/rate-gate.ts";
import type { ConfState, Member, Message, PeerId, RaftTransport } from "../raft/mod.ts";
import { type Forwarder, LogTime, noPosition } from "../replication/mod.ts";
import type { Appended, AppendOptions, Offset, RecordRun } from "../types.ts";
import { type PeerHello, peerOfHello } from "./handshake/handshake.ts";
import { type BootConnection, IdentityCheck } from "./identity/identity-check.ts";
import { PeerAcceptor } from "./incoming/acceptor.ts";
import { linkEvents } from "./link/link-events.ts";
import { PeerLink } from "./link/peer-link.ts";
import { visit } from "./link/probe.ts";
import {
  defaultPeerLimits,
  type PeerLimits,
  type PeerNetworkOptions,
  type PeerReplica,
  type PeerStatus,
} from "./options.ts";
import { PeerMeter } from "./peer-meter.ts";
import { type PeerRequest, valueRequest } from "./wire/request-codec.ts";

export type { PeerHello } from "./handshake/handshake.ts";
export type { PeerLimits, PeerNetworkOptions, PeerReplica, PeerStatus } from "./options.ts";

/** A boot that was silent for so many ticks lets a later one take its place. */
const silentTicks = 3.5;
/** How far members have promised to have the log is stored so often. */
const keepTicks = 10;
/** Lines a second that strangers can cause. */
const strangersLinesPerSecond = 2;

export class PeerNetwork implements RaftTransport, Forwarder, AsyncDisposable {
  /** The log's time, which goes by what peers' clocks show. */
  readonly time: LogTime;
  readonly #options: PeerNetworkOptions;
  readonly #limits: PeerLimits;
  readonly #logger: Logger;
  readonly #meter: PeerMeter;
  readonly #guard: IdentityCheck;
  readonly #door: PeerAcceptor;
  readonly #links = new Map<PeerId, PeerLink>();
  /** Members that said, themselves, that they serve elsewhere than the configuration has it. */
  readonly #elsewhere = new Map<PeerId, { readonly from: string; readonly to: string }>();
  readonly #strangers = new RateGate(strangersLinesPerSecond);
  #roster: readonly Member[] = [];
  #replica: PeerReplica | undefined;
  #onMoved: () => void = () => undefined;
  #peer: PeerId | undefined;
  #visits = 0;
  #timer: Timer | undefined;
  /** It takes no part: the others refuse its claim to its directory. */
  #outside = false;
  #ticks = 0;
  #keepDue = false;
  #closed = false;

  constructor(options: PeerNetworkOptions) {
    this.#options = options;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
    this.#logger = options.logger ?? noLogger;
    this.time = new LogTime(options.clock, this.#logger);
    this.#meter = new PeerMeter(options.metrics ?? noMetrics, {
      peers: () => this.peers(),
      queuedBytes: (lane) => [...this.#links.values()].reduce((sum, link) => sum + link.queuedBytes(lane), 0),
    });
    this.#guard = new IdentityCheck({
      clock: options.clock,
      logger: this.#logger,
      replica: () => this.#replica,
      roster: () => this.#roster,
      self: () => options.self(),
      holders: (directory) => this.#holders(directory),
      ask: (address, verb, body) => this.ask(address, verb, body),
      silentMs: silentTicks * this.#limits.tickMs,
    });
    this.#door = new PeerAcceptor({
      options,
      limits: this.#limits,
      reading: () => this.time.reading(),
      logger: this.#logger,
      replica: () => this.#replica,
      roster: () => this.#roster,
      peer: () => this.#peer,
      heardOf: (hello) => this.#answerTo(hello),
      left: (peer, hello) => {
        this.#guard.left(hello);
        this.#keep();
        this.#forget(peer);
      },
      guard: this.#guard,
      outside: () => this.#outside,
      refused: (reason) => this.#meter.refused(reason),
      warn: (...line) => this.#warn(...line),
    });
    this.#arm();
  }

  /**
   * What comes in for Raft goes there from now on, and what becomes of links is told it. Before it is started. `onMoved`
   * hears that there is one more in moved().
   */
  attach(replica: PeerReplica, onMoved: () => void = () => undefined): void {
    this.#replica = replica;
    this.#onMoved = onMoved;
  }

  /** Members that call from another address than the configuration has, as they say themselves: a hint. */
  moved(): readonly PeerHello[] {
    return this.#door.callers().filter((hello) => this.#hasMoved(hello));
  }

  /**
   * A peer's connection that came in, with or without the marker in front. `allowed` answers why this peer may not be
   * one here, if so.
   */
  accept(socket: Duplex, allowed: (hello: PeerHello) => string | undefined): void {
    this.#door.accept(socket, allowed);
  }

  /** Who is there. Fault "unavailable" when nobody answers, else why not. */
  async probe(address: string, options: { readonly timeoutMs?: number } = {}): Promise<PeerHello> {
    const { hello } = await this.#visit(address, undefined, options.timeoutMs);
    return hello;
  }

  /**
   * Asks a node's PeerService. `deadlineMs` is a point on the monotonic clock. Rejects with the fault of the service, or
   * with one that says how far the question came: with written "no" it was not asked at all.
   */
  async ask(
    address: string,
    verb: string,
    body: unknown,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<unknown> {
    const question = valueRequest(verb, body);
    const { clock } = this.#options;
    const deadlineMs = options.deadlineMs ?? clock.monotonicMs() + this.#limits.questionMs;
    for (const link of this.#links.values()) {
      if (link.callee.address === address && link.canAsk) return link.ask(question, deadlineMs);
    }
    const { answer } = await this.#visit(address, question, deadlineMs - clock.monotonicMs());
    return answer;
  }

  send(message: Message): void {
    this.#links.get(message.to)?.send(message);
  }

  members(configuration: ConfState): void {
    this.#roster = configuration.roster?.members ?? [];
    if (this.#closed || this.#outside) return;
    const { directory, address: own } = this.#options.self();
    const voters = new Set([...configuration.voters, ...configuration.votersOutgoing]);
    this.time.compareWith(
      this.#roster.flatMap((member) =>
        voters.has(member.peer) && member.directory !== directory ? [member.name] : [],
      ),
    );
    this.#rememberMembers();
    this.#peer = peerOfHello({ directory });
    const wanted = new Map<PeerId, Member>();
    for (const member of this.#roster) {
      // What is said to be at this node's own address was there before it, or is there no more.
      if (member.directory === directory || member.address === own) continue;
      wanted.set(member.peer, this.#whereIs(member));
    }
    for (const peer of this.#elsewhere.keys()) if (!wanted.has(peer)) this.#elsewhere.delete(peer);
    for (const [peer, link] of this.#links) {
      const member = wanted.get(peer);
      const { address, name } = link.callee;
      if (member?.address === address && member.name === name) wanted.delete(peer);
      else if (member !== undefined || !this.#door.hears(peer)) this.#remove(peer, link);
    }
    for (const [peer, member] of wanted) this.#links.set(peer, this.#link(member));
  }

  /** False while another voter's clock is known to be better, and where the others refuse this node. */
  mayCampaign(): boolean {
    return !this.#outside && this.time.status().successors.length === 0;
  }

  /** Voters whose clock is known to be better than this node's. */
  successors(): readonly PeerId[] {
    const { successors } = this.time.status();
    return this.#roster.flatMap(({ name, peer }) => (successors.includes(name) ? [peer] : []));
  }

  async append(
    leader: string,
    run: RecordRun,
    options: AppendOptions,
    signal?: AbortSignal,
  ): Promise<Appended> {
    return this.#linkTo(leader).append(run, options, this.#deadline(options), signal);
  }

  async trim(leader: string, before: Offset, options: AppendOptions, signal?: AbortSignal): Promise<Offset> {
    return this.#linkTo(leader).trim(before, options, this.#deadline(options), signal);
  }

  /** The other members and how the links to them stand. */
  peers(): readonly PeerStatus[] {
    const { clock } = this.#options;
    const now = clock.monotonicMs();
    const wallMs = clock.wallMs();
    const offMs = (theirs: number | undefined): number | undefined =>
      theirs === undefined ? undefined : theirs - wallMs;
    return this.#memberLinks().map(({ callee, connected, heardMs, hello, refused, refusedFor }) => ({
      name: callee.name,
      address: callee.address,
      connected,
      silentMs: heardMs === undefined ? Number.POSITIVE_INFINITY : now - heardMs,
      hello,
      clockOffMs: offMs(this.time.trust.peers.wallMs(callee.name, now)),
      refused,
      refusedFor,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#keep();
    this.#meter[Symbol.dispose]();
    for (const [peer, link] of [...this.#links]) this.#remove(peer, link);
    this.#door.close();
  }

  #link({ peer, name, directory, address }: Member): PeerLink {
    const { clock, random, self, dial } = this.#options;
    const link: PeerLink = new PeerLink({
      ...this.#limits,
      clock,
      random: random.stream(`${name}/${address}`),
      self,
      dial,
      callee: { name, directory, address },
      clocks: this.time.trust.peers,
      claimed: (hello) => this.#guard.claimed(hello),
      promised: () =>
        (this.#replica?.started === true ? this.#replica.node.promised : undefined) ?? noPosition,
      events: linkEvents({
        peer,
        facts: { peer: name, address },
        link: () => (this.#links.get(peer) === link ? link : undefined),
        node: () => (this.#replica?.started === true ? this.#replica.node : undefined),
        meter: this.#meter,
        logger: this.#logger,
        warn: (...line) => this.#warn(...line),
        linked: () => this.#guard.met(directory, address),
        disowned: (fault) => this.#disowned(fault, peer, name),
      }),
    });
    return link;
  }

  /** Connections on which boots of this directory speak, either way. */
  #holders(directory: string): BootConnection[] {
    const found = this.#door.holders(directory);
    for (const link of this.#links.values()) {
      const boot = link.hello?.boot;
      if (link.callee.directory !== directory || !link.connected || boot === undefined) continue;
      found.push({ boot, signs: link.signs, close: (fault) => link.drop(fault) });
    }
    return found;
  }

  /**
   * A member refuses this node's claim to its directory. While a leader that accepts it leads, the refusal is that
   * member's mistake, and the leader settles it.
   */
  #disowned(fault: Fault, by: PeerId, name: string): void {
    if (this.#outside || this.#closed) return;
    const node = this.#replica?.started === true ? this.#replica.node : undefined;
    const leader = node?.leader?.peer;
    if (node?.isLeader === true) return;
    if (leader !== undefined && leader !== by && this.#links.get(leader)?.connected === true) return;
    this.takeNoPart();
    this.#options.onDisowned?.(fault, name);
  }

  /** Takes no part from now on: the other members refuse this node, or did before it was started. */
  takeNoPart(): void {
    this.#outside = true;
    for (const [peer, link] of [...this.#links]) this.#remove(peer, link);
    this.#door.endLanes(new Fault("unavailable", { message: "this node takes no part in its cluster" }));
  }

  #rememberMembers(): void {
    try {
      this.#replica?.boots?.members(this.#roster.map((member) => member.directory));
    } catch (reason) {
      this.#logger.warn({ err: reason }, "the boot numbers of the members could not be stored");
    }
  }

  /** Stores how far the members have promised to have the log; nothing where that is stored already. */
  #keep(): void {
    try {
      this.#keepDue = false;
      this.#guard.keep();
    } catch (reason) {
      this.#keepDue = true;
      this.#logger.warn({ err: reason }, "what the members have promised could not be stored");
    }
  }

  /** Why the node that has said this is not followed as the member whose directory it has, if so. */
  doubts(hello: PeerHello): string | undefined {
    return this.#guard.doubts(hello);
  }

  /**
   * Whoever is let in is answered, also a leader that this node's configuration does not name: that is old, or there is
   * none yet, and only what the leader sends will make it new. Such a link lasts as long as the leader's.
   */
  #answerTo(hello: PeerHello): void {
    const peer = peerOfHello(hello);
    const link = this.#links.get(peer);
    if (link !== undefined && !link.connected && link.callee.address !== hello.address) {
      this.#move(peer, link, hello);
    } else if (link !== undefined) link.hurry();
    else if (peer !== this.#peer) this.#links.set(peer, this.#link({ ...hello, peer }));
    if (this.#hasMoved(hello)) this.#onMoved();
  }

  #hasMoved({ directory, address }: PeerHello): boolean {
    const member = this.#roster.find((one) => one.directory === directory);
    return member !== undefined && member.address !== address;
  }

  /**
   * A member that serves elsewhere now. Its leader will tell all, but where that takes its own vote, it must be answered
   * before: an address of the configuration counts again once it is another one than it was then.
   */
  #move(peer: PeerId, link: PeerLink, { address }: PeerHello): void {
    const member = this.#roster.find((one) => one.peer === peer);
    if (member !== undefined) this.#elsewhere.set(peer, { from: member.address, to: address });
    this.#remove(peer, link);
    this.#links.set(peer, this.#link({ ...link.callee, peer, address }));
  }

  #whereIs(member: Member): Member {
    const moved = this.#elsewhere.get(member.peer);
    if (moved?.from === member.address) return { ...member, address: moved.to };
    this.#elsewhere.delete(member.peer);
    return member;
  }

  /** What was only answered ends with the last that came from it. */
  #forget(peer: PeerId): void {
    const link = this.#links.get(peer);
    if (link !== undefined && !this.#isMember(peer) && !this.#door.hears(peer)) this.#remove(peer, link);
  }

  #memberLinks(): PeerLink[] {
    return [...this.#links].flatMap(([peer, link]) => (this.#isMember(peer) ? [link] : []));
  }

  #isMember(peer: PeerId): boolean {
    return this.#roster.some((member) => member.peer === peer);
  }

  #remove(peer: PeerId, link: PeerLink): void {
    this.#links.delete(peer);
    this.time.trust.peers.forget(link.callee.name);
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
    return deadlineMs ?? this.#options.clock.monotonicMs() + this.#limits.forwardMs;
  }

  async #visit(
    address: string,
    question: PeerRequest | undefined,
    timeoutMs = this.#limits.questionMs,
  ): ReturnType<typeof visit> {
    if (this.#closed) throw new Fault("unavailable", { message: "this node is stopping" });
    if (this.#visits >= this.#limits.visitsMax) {
      throw new Fault("overloaded", { message: "too many other nodes are being asked" });
    }
    this.#visits++;
    try {
      return await visit(this.#options, address, question, this.#options.clock.monotonicMs() + timeoutMs);
    } finally {
      this.#visits--;
    }
  }

  #warn(facts: object, fault: Fault, sentence: string): void {
    if (!this.#strangers.pass(this.#options.clock.monotonicMs())) return;
    const unlogged = this.#strangers.takeDropped();
    this.#logger.warn(
      { ...facts, why: fault.message, ...fault.facts, ...(unlogged > 0 ? { unlogged } : {}) },
      sentence,
    );
  }

  #arm(): void {
    const { clock } = this.#options;
    // What the sockets hold is read before silence is counted: this process may have stood still, for one tick.
    this.#timer = clock.after(this.#limits.tickMs, () => clock.soon(() => this.#tick()));
  }

  #tick(): void {
    if (this.#closed) return;
    this.#arm();
    for (const link of this.#links.values()) link.tick();
    this.#door.tick();
    this.time.status();
    this.#ticks++;
    if (this.#keepDue || this.#ticks % keepTicks === 0) this.#keep();
  }
}
