/**
 * Accepts the connections of peers, and passes their Raft messages on. Each peer has at most one connection of each
 * channel.
 *
 * A message must come from its sender: the Raft id is derived from the data directory of the handshake.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Member, Message, PeerId, Snapshot } from "../../raft/mod.ts";
import type { ClockReading, RowsRange } from "../../replication/mod.ts";
import { checkCaller } from "../handshake/handshake-check.ts";
import { encodeIntroduction } from "../handshake/handshake-codec.ts";
import type { Introduction, PeerHello } from "../handshake/introduction.ts";
import type { Refusal, RefusalReason } from "../handshake/refusal.ts";
import { reportVerb } from "../identity/boot-reports.ts";
import type { IdentityCheck } from "../identity/identity-check.ts";
import type { BootConnection } from "../identity/identity-context.ts";
import type { PeerLimits, PeerNetworkOptions, PeerReplica } from "../options.ts";
import { IncomingConnection } from "./incoming-connection.ts";
import { RequestServer } from "./request-server.ts";

/** A request for a part of the base file of the rows of named logs. */
export const rowsVerb = "rows";

export interface AcceptorOptions {
  readonly network: PeerNetworkOptions;
  readonly limits: PeerLimits;
  /** See LogTime. */
  readonly reading: () => ClockReading;
  readonly logger: Logger;
  /** Undefined before a replica is attached. */
  readonly replica: () => PeerReplica | undefined;
  readonly roster: () => readonly Member[];
  /** The Raft id of this node. */
  readonly self: () => PeerId | undefined;
  readonly identity: IdentityCheck;
  /** True while the other members refuse this node: it accepts no channels. */
  readonly isolated: () => boolean;
  /** Asks a peer for a part of its rows. */
  readonly askForRows: (peer: PeerId, range: RowsRange) => Promise<Uint8Array>;
  /** A peer has opened a channel. */
  readonly onConnected: (hello: PeerHello) => void;
  /** A channel of a peer has ended. */
  readonly onDisconnected: (peer: PeerId, hello: PeerHello) => void;
  readonly onRefused: (reason: RefusalReason) => void;
  /** Logs a warning that peers can cause, with a limit on its rate. */
  readonly warn: (facts: object, fault: Fault, message: string) => void;
}

export class PeerAcceptor {
  readonly #options: AcceptorOptions;
  readonly #connections = new Set<IncomingConnection>();
  #closed = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** Takes over a socket. `denied` returns why the caller has no permission to be a peer, or undefined. */
  accept(socket: Duplex, denied: (hello: PeerHello) => string | undefined): void {
    const { network, limits, logger, identity } = this.#options;
    const { handshakeMs, incomingMax, control, bulk } = limits;
    if (this.#closed || (this.#connections.size >= incomingMax && !this.#closeLeastImportant())) {
      logger.warn({ connections: this.#connections.size }, "a connection of a peer was rejected");
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const connection = new IncomingConnection({
      socket,
      clock: network.clock,
      handshakeMs,
      reading: this.#options.reading,
      // For responses only. Their number is limited by that of the requests.
      queue: { countMax: control.countMax, bytesMax: bulk.bytesMax },
      check: (introduction) => this.#check(introduction, denied),
      welcome: ({ purpose }) => encodeIntroduction("welcome", purpose, network.self()),
      onAccepted: (from, introduction) => this.#accepted(from, introduction),
      onMessage: (from, message) => this.#received(from, message),
      onPing: ({ accepted }, promised) => {
        if (accepted !== undefined) identity.promised.pingReceived(accepted.hello, promised);
      },
      onClosed: (from, fault) => this.#connectionClosed(from, fault),
    });
    this.#connections.add(connection);
  }

  /** Returns true if this peer has an open channel to this node. */
  isConnected(peer: PeerId): boolean {
    for (const connection of this.#connections) if (connection.peer === peer) return true;
    return false;
  }

  /** The introductions of the peers with open channels, one for each peer. */
  callers(): readonly PeerHello[] {
    const hellos = new Map<PeerId, PeerHello>();
    for (const { peer, accepted } of this.#connections)
      if (peer !== undefined && accepted !== undefined) hellos.set(peer, accepted.hello);
    return [...hellos.values()];
  }

  /** The open channels of this data directory. */
  connectionsOf(directory: string): BootConnection[] {
    return [...this.#connections].flatMap((connection) => {
      const { accepted, peer } = connection;
      const boot = accepted?.hello.boot;
      if (peer === undefined || boot === undefined || accepted?.hello.directory !== directory) return [];
      return [{ boot, roundTrips: connection.roundTrips, close: (fault: Fault) => connection.close(fault) }];
    });
  }

  /** Ends all channels. Connections of probes stay. */
  closeChannels(fault: Fault): void {
    for (const connection of [...this.#connections]) {
      if (connection.peer !== undefined) connection.close(fault);
    }
  }

  /** Called once a second. */
  tick(): void {
    for (const connection of [...this.#connections])
      connection.tick(this.#options.limits.incomingSilentTicksMax);
  }

  close(): void {
    this.#closed = true;
    const fault = new Fault("unavailable", { message: "this node is stopping" });
    for (const connection of [...this.#connections]) connection.close(fault);
  }

  /** Makes room for a new connection. Connections without a handshake are closed first, then probes; never channels. */
  #closeLeastImportant(): boolean {
    const all = [...this.#connections];
    const least =
      all.find(({ accepted }) => accepted === undefined) ?? all.find(({ peer }) => peer === undefined);
    least?.close(new Fault("unavailable", { message: "too many connections of peers" }));
    return least !== undefined;
  }

  #check(introduction: Introduction, denied: (hello: PeerHello) => string | undefined): Refusal | undefined {
    const { network, roster, onRefused, identity, isolated } = this.#options;
    const refusal = checkCaller(introduction, {
      self: network.self(),
      directoryOf: (name) => roster().find((member) => member.name === name)?.directory,
      denied,
      checkBoot: (hello) => (isolated() ? isolatedRefusal : identity.check(hello)),
    });
    if (refusal !== undefined) onRefused(refusal.reason);
    return refusal;
  }

  #accepted(connection: IncomingConnection, { hello, purpose }: Introduction): RequestServer {
    const { network, limits, replica, onConnected, identity } = this.#options;
    const { clock, serve, authorize, begin } = network;
    if (purpose !== "probe") {
      for (const other of [...this.#connections]) {
        const known = other.accepted;
        if (other === connection || known?.purpose !== purpose || known.hello.directory !== hello.directory)
          continue;
        other.close(new Fault("unavailable", { message: "the peer has opened a new connection" }));
      }
      onConnected(hello);
    }
    return new RequestServer({
      clock,
      from: hello,
      log: () => (replica()?.started === true ? replica()?.log : undefined),
      service: {
        ask: async (verb, body, from, signal) => {
          if (verb === reportVerb) return identity.reports.receive(body, from);
          if (verb === rowsVerb && connection.peer !== undefined) return this.#readRows(hello, body);
          return serve.ask(verb, body, from, signal);
        },
      },
      isMember: () => this.#isMember(hello),
      authorize,
      begin,
      respond: (frame) => connection.respond(frame),
      requestsMax: limits.requestsMax,
      requestBytesMax: limits.requestBytesMax,
    });
  }

  /** True for every node before this node has a configuration. */
  #isMember({ directory }: PeerHello): boolean {
    const roster = this.#options.roster();
    return roster.length === 0 || roster.some((member) => member.directory === directory);
  }

  #received({ accepted, peer }: IncomingConnection, message: Message): void {
    const { replica: attached, roster, self, identity } = this.#options;
    const replica = attached();
    if (accepted === undefined || replica?.started !== true || message.to !== self()) return;
    if (message.from === peer) {
      identity.promised.messageReceived(accepted.hello, message);
      if (message.snapshot !== undefined) this.#fetchRows(message, message.snapshot, accepted.hello);
      else this.#pass(replica, message, accepted.hello);
    }
    // A follower forwards requests of other nodes to the leader: for a read, or for a change of leader.
    else if (isForwardable(message) && roster().some((member) => member.peer === peer))
      replica.node.receive(message);
  }

  #pass(replica: PeerReplica, message: Message, { directory }: PeerHello): void {
    const fault = replica.node.receive(message, directory);
    if (fault !== undefined) throw fault;
  }

  /** Raft gets a snapshot once the rows that it names are here. If that fails, the leader sends it again. */
  #fetchRows(message: Message, snapshot: Snapshot, hello: PeerHello): void {
    const { replica, askForRows, warn } = this.#options;
    const pass = (): Snapshot | undefined => {
      const current = replica();
      if (current?.started !== true || this.#closed) return undefined;
      this.#pass(current, message, hello);
      return current.node.status?.().pendingSnapshot;
    };
    const { rows } = replica()!;
    const fetched = rows?.fetch(snapshot, (range) => askForRows(message.from, range), pass);
    (fetched ?? Promise.resolve().then(pass)).catch((reason: unknown) => {
      if (!this.#closed)
        warn({ peer: hello.name }, Fault.from(reason), "the rows of a snapshot could not be fetched");
    });
  }

  #readRows(hello: PeerHello, range: unknown): Uint8Array {
    const rows = this.#options.replica()?.rows;
    if (rows !== undefined && this.#isMember(hello)) return rows.read(range);
    throw new Fault("failed-precondition", { message: `${hello.name} is not a member of this cluster` });
  }

  #connectionClosed(connection: IncomingConnection, fault: Fault): void {
    this.#connections.delete(connection);
    const { peer, accepted, caller } = connection;
    if (peer !== undefined && accepted !== undefined) this.#options.onDisconnected(peer, accepted.hello);
    if (fault.kind === "unavailable" || fault.kind === "canceled") return;
    const { name, address } = caller?.hello ?? {};
    this.#options.warn(
      name === undefined ? {} : { peer: name, address },
      fault,
      "a peer's connection was refused",
    );
  }
}

const isolatedRefusal: Refusal = {
  reason: "no-part",
  message: "this node is refused by its cluster and accepts no peers",
};
const isForwardable = ({ type }: Message): boolean => type === "read-index" || type === "transfer-leader";
