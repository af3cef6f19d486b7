/**
 * The network between the nodes of a cluster: links to the other members, and the connections that they open.
 *
 *   Replica ── send, append, trim ──► PeerLink (one for each member) ── control, bulk ──► sockets that this node dialed
 *   Replica ◄─ messages ── PeerAcceptor ◄── accepted sockets ── requests ──► RequestServer ──► log, PeerService
 *
 * Each node dials the connections on which it sends. So two nodes need no agreement on which of them dials, and each node
 * notices itself that the leader's process has ended. The agent opens and accepts the sockets.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../fault.ts";
import { type Logger, noLogger, noMetrics } from "../lib/telemetry.ts";
import type { Timer } from "../lib/time/clock.ts";
import { namedLogsLevel, streamsLevel } from "../log/mod.ts";
import type { ConfState, Member, Message, PeerId, RaftTransport } from "../raft/mod.ts";
import { type Forwarder, LogTime, noPosition, oldMembers, type RowsRange } from "../replication/mod.ts";
import type { Appended, AppendOptions, ChangedLog, LogChange, Offset, RecordRun } from "../types.ts";
import { type PeerHello, peerIdOfHello } from "./handshake/introduction.ts";
import { IdentityCheck } from "./identity/identity-check.ts";
import type { BootConnection } from "./identity/identity-context.ts";
import { PeerAcceptor, rowsVerb } from "./incoming/acceptor.ts";
import { linkEvents } from "./link/link-events.ts";
import { PeerLink } from "./link/peer-link.ts";
import { PeerLinks } from "./link/peer-links.ts";
import { PeerProber } from "./link/peer-prober.ts";
import {
  defaultPeerLimits,
  type PeerLimits,
  type PeerNetworkOptions,
  type PeerReplica,
  type PeerStatus,
} from "./options.ts";
import { PeerMeter } from "./peer-meter.ts";
import { type PeerWarning, peerWarnings } from "./peer-warnings.ts";
import { levelOfChange } from "./wire/change-level.ts";
import { valueRequest } from "./wire/request-codec.ts";

/** Ticks without activity after which a boot can be replaced by another one of the same directory. */
const bootSilentTicks = 3.5;
/** Ticks between two times that the members' promised positions are stored. */
const storeTicks = 10;

export class PeerNetwork implements RaftTransport, Forwarder, AsyncDisposable {
  /** The time of the log, which uses the clock readings of the peers. */
  readonly time: LogTime;
  readonly #options: PeerNetworkOptions;
  readonly #limits: PeerLimits;
  readonly #logger: Logger;
  readonly #warn: PeerWarning;
  readonly #meter: PeerMeter;
  readonly #identity: IdentityCheck;
  readonly #acceptor: PeerAcceptor;
  readonly #links: PeerLinks;
  readonly #prober: PeerProber;
  #roster: readonly Member[] = [];
  #replica: PeerReplica | undefined;
  #onMoved: () => void = () => undefined;
  /** The Raft id of this node, once it has a configuration. */
  #peer: PeerId | undefined;
  #timer: Timer | undefined;
  #isolated = false;
  #ticks = 0;
  #closed = false;
  readonly flush = (): void => this.#links.flush();

  constructor(options: PeerNetworkOptions) {
    const { clock } = options;
    this.#options = options;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
    this.#logger = options.logger ?? noLogger;
    this.#warn = peerWarnings(this.#logger, clock);
    this.time = new LogTime(clock, this.#logger);
    this.#prober = new PeerProber(options, this.#limits.probesMax);
    this.#links = new PeerLinks({
      open: (member) => this.#openLink(member),
      isConnected: (peer) => this.#acceptor.isConnected(peer),
      onClosed: (link) => this.time.trust.peers.remove(link.target.name),
    });
    this.#meter = new PeerMeter(options.metrics ?? noMetrics, {
      peers: () => this.peers(),
      queuedBytes: (channel) => this.#links.queuedBytes(channel),
    });
    this.#identity = new IdentityCheck({
      clock,
      logger: this.#logger,
      replica: () => this.#replica,
      roster: () => this.#roster,
      self: options.self,
      connections: (directory) => this.#connectionsOf(directory),
      ask: (address, verb, body) => this.ask(address, verb, body),
      silentMs: bootSilentTicks * this.#limits.tickMs,
    });
    this.#acceptor = new PeerAcceptor({
      network: options,
      limits: this.#limits,
      reading: () => this.time.reading(),
      logger: this.#logger,
      replica: () => this.#replica,
      roster: () => this.#roster,
      self: () => this.#peer,
      identity: this.#identity,
      isolated: () => this.#isolated,
      askForRows: (peer, range) => this.#askForRows(peer, range),
      onConnected: (hello) => this.#peerConnected(hello),
      onDisconnected: (peer, hello) => this.#peerDisconnected(peer, hello),
      onRefused: (reason) => this.#meter.refused(reason),
      warn: this.#warn,
    });
    this.#scheduleTick();
  }

  /**
   * Sets the replica that gets Raft messages and events of links. Call it before the replica starts. `onMoved` is called
   * when movedMembers() has changed.
   */
  attach(replica: PeerReplica, onMoved: () => void = () => undefined): void {
    this.#replica = replica;
    this.#onMoved = onMoved;
  }

  /** Members that connected with another address than their address in the configuration, as they report it. */
  movedMembers(): readonly PeerHello[] {
    return this.#acceptor.callers().filter((hello) => this.#hasMoved(hello));
  }

  /**
   * Takes over an accepted socket of a peer. The marker byte may still be unread. `denied` returns why the caller has no
   * permission to be a peer, or undefined.
   */
  accept(socket: Duplex, denied: (hello: PeerHello) => string | undefined): void {
    this.#acceptor.accept(socket, denied);
  }

  /**
   * Resolves to the introduction of the node at an address. `timeoutMs`: default 5,000. Rejects with Fault "unavailable"
   * if the address is unreachable, or with the reason of a refusal.
   */
  async probe(address: string, options: { readonly timeoutMs?: number } = {}): Promise<PeerHello> {
    const { hello } = await this.#prober.probe(
      address,
      undefined,
      options.timeoutMs ?? this.#limits.requestMs,
    );
    return hello;
  }

  /**
   * Sends a request to the PeerService of the node at an address. `deadlineMs` is on the monotonic clock; default in
   * 5 seconds. Rejects with the fault of the service, or with one whose `written` is "no" if the request was not sent.
   */
  async ask(
    address: string,
    verb: string,
    body: unknown,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<unknown> {
    const request = valueRequest(verb, body);
    const nowMs = this.#options.clock.monotonicMs();
    const { deadlineMs = nowMs + this.#limits.requestMs } = options;
    const link = this.#links.connectedAt(address);
    if (link !== undefined) return link.ask(request, deadlineMs);
    const { value } = await this.#prober.probe(address, request, deadlineMs - nowMs);
    return value;
  }

  send(message: Message): void {
    this.#links.get(message.to)?.send(message);
  }

  members(configuration: ConfState): void {
    this.#roster = configuration.roster?.members ?? [];
    if (this.#closed || this.#isolated) return;
    const self = this.#options.self();
    const voters = new Set([...configuration.voters, ...configuration.votersOutgoing]);
    this.time.compareWith(
      this.#roster.flatMap((member) =>
        voters.has(member.peer) && member.directory !== self.directory ? [member.name] : [],
      ),
    );
    this.#storeMembers();
    this.#peer = peerIdOfHello(self);
    this.#links.update(this.#roster, self);
  }

  /** False while the clock of another voter is known to be better, and while this node is isolated. */
  mayCampaign(): boolean {
    return !this.#isolated && this.time.status().successors.length === 0;
  }

  /** The voters whose clock is known to be better than this node's. */
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
    const link = this.#linkTo(leader, options.stream === undefined ? levelOf(options) : streamsLevel);
    return link.append(run, options, this.#forwardDeadline(options), signal);
  }

  async trim(leader: string, before: Offset, options: AppendOptions, signal?: AbortSignal): Promise<Offset> {
    const link = this.#linkTo(leader, levelOf(options));
    return link.trim(before, options, this.#forwardDeadline(options), signal);
  }

  async changeLog(
    leader: string,
    change: LogChange,
    options: AppendOptions,
    signal?: AbortSignal,
  ): Promise<ChangedLog> {
    return this.#linkTo(leader, levelOfChange[change.kind]).changeLog(
      change,
      options,
      this.#forwardDeadline(options),
      signal,
    );
  }

  /** The other members that are not connected, or do not have this level. */
  membersWithout(level: number): readonly string[] {
    return this.peers()
      .filter(({ connected, hello }) => !connected || (hello?.level ?? 0) < level)
      .map(({ name }) => name);
  }

  /** The state of the links to the other members. */
  peers(): readonly PeerStatus[] {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const ownWallMs = clock.wallMs();
    return this.#links.ofMembers().map(({ target, connected, receivedMs, hello, refused, refusedFor }) => {
      const wallMs = this.time.trust.peers.wallMs(target.name, nowMs);
      return {
        name: target.name,
        address: target.address,
        connected,
        silentMs: receivedMs === undefined ? Number.POSITIVE_INFINITY : nowMs - receivedMs,
        hello,
        clockOffMs: wallMs === undefined ? undefined : wallMs - ownWallMs,
        refused,
        refusedFor,
      };
    });
  }

  /** Returns why a probed node is not the member whose data directory it has, or undefined. */
  identityProblemOf(hello: PeerHello): string | undefined {
    return this.#identity.problemOf(hello);
  }

  /** Closes all channels, and accepts and opens none from now on: the other members refuse this node. */
  isolate(): void {
    this.#isolated = true;
    this.#links.close();
    this.#acceptor.closeChannels(new Fault("unavailable", { message: "the other members refuse this node" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#identity.promised.store();
    this.#meter[Symbol.dispose]();
    this.#prober.close();
    this.#links.close();
    this.#acceptor.close();
  }

  #openLink({ peer, name, directory, address }: Member): PeerLink {
    const { clock, random, self, dial } = this.#options;
    const link: PeerLink = new PeerLink({
      ...this.#limits,
      clock,
      random: random.stream(`${name}/${address}`),
      self,
      dial,
      target: { name, directory, address },
      clocks: this.time.trust.peers,
      checkBoot: (hello) => this.#identity.check(hello),
      promised: () => this.#node?.promised ?? noPosition,
      events: linkEvents({
        peer,
        facts: { peer: name, address },
        link: () => (this.#links.get(peer) === link ? link : undefined),
        node: () => this.#node,
        meter: this.#meter,
        logger: this.#logger,
        warn: this.#warn,
        onConnected: () => this.#identity.reports.memberConnected(directory, address),
        onDisowned: (fault) => this.#disowned(fault, peer, name),
      }),
    });
    return link;
  }

  /** The open connections of boots of this directory, in both directions. */
  #connectionsOf(directory: string): BootConnection[] {
    const connections = this.#acceptor.connectionsOf(directory);
    for (const link of this.#links.ofDirectory(directory)) {
      const boot = link.hello?.boot;
      if (!link.connected || boot === undefined) continue;
      connections.push({ boot, roundTrips: link.roundTrips, close: (fault) => link.drop(fault) });
    }
    return connections;
  }

  /**
   * A member refuses this node's data directory. While this node leads, or is connected to another member that leads, that
   * member is wrong: the leader corrects it.
   */
  #disowned(fault: Fault, by: PeerId, name: string): void {
    if (this.#isolated || this.#closed) return;
    const node = this.#node;
    const leader = node?.leader?.peer;
    if (node?.isLeader === true) return;
    if (leader !== undefined && leader !== by && this.#links.get(leader)?.connected === true) return;
    this.isolate();
    this.#options.onDisowned?.(fault, name);
  }

  #peerConnected(hello: PeerHello): void {
    this.#links.peerConnected(peerIdOfHello(hello), hello, this.#peer);
    if (this.#hasMoved(hello)) this.#onMoved();
  }

  #peerDisconnected(peer: PeerId, hello: PeerHello): void {
    this.#identity.reports.memberDisconnected(hello);
    this.#identity.promised.store();
    this.#links.peerDisconnected(peer);
  }

  #hasMoved({ directory, address }: PeerHello): boolean {
    const member = this.#roster.find((one) => one.directory === directory);
    return member !== undefined && member.address !== address;
  }

  #storeMembers(): void {
    try {
      this.#replica?.boots?.setMembers(this.#roster.map((member) => member.directory));
    } catch (reason) {
      this.#logger.warn({ err: reason }, "the boot numbers of the members could not be stored");
    }
  }

  /** @throws Fault "failed-precondition" if the node lacks the level of the request: it would end the connection */
  #linkTo(name: string, level: number): PeerLink {
    const link = this.#links.byName(name);
    const isOld = link?.hello !== undefined && (link.hello.level ?? 0) < level;
    if (isOld) throw oldMembers(this.membersWithout(level));
    if (link !== undefined) return link;
    throw new Fault("unavailable", {
      message: `${name} is not in the configuration of this node`,
      facts: { leader: name },
    });
  }

  async #askForRows(peer: PeerId, range: RowsRange): Promise<Uint8Array> {
    const link = this.#links.get(peer);
    if (link === undefined) throw new Fault("unavailable", { message: "the leader is not connected" });
    const deadlineMs = this.#options.clock.monotonicMs() + this.#limits.requestMs;
    const answer = await link.ask(valueRequest(rowsVerb, { ...range }), deadlineMs, true);
    if (answer instanceof Uint8Array) return answer;
    throw new Fault("bad-request", { message: "the leader's answer is not a part of its rows" });
  }

  #forwardDeadline({ deadlineMs }: AppendOptions): number {
    return deadlineMs ?? this.#options.clock.monotonicMs() + this.#limits.forwardMs;
  }

  /** Undefined before Raft has started. */
  get #node(): PeerReplica["node"] | undefined {
    return this.#replica?.started === true ? this.#replica.node : undefined;
  }

  #scheduleTick(): void {
    const { clock } = this.#options;
    // If the process was suspended, what has arrived meanwhile is read before silence is counted.
    this.#timer = clock.after(this.#limits.tickMs, () => clock.soon(() => this.#tick()));
  }

  #tick(): void {
    if (this.#closed) return;
    this.#scheduleTick();
    this.#links.tick();
    this.#acceptor.tick();
    this.time.status();
    this.#ticks++;
    const { promised } = this.#identity;
    if (promised.failed || this.#ticks % storeTicks === 0) promised.store();
  }
}

/** The level that a request about this log needs. */
const levelOf = ({ log }: AppendOptions): number => (log === undefined ? 0 : namedLogsLevel);
