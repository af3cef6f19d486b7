/**
 * The connections that came in: who is let in, one of each kind a peer, and what they bring for Raft.
 *
 * A message counts as its sender's only: the sender's number is its directory's, which the handshake told.
 *
 * Never: dials.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Member, Message, PeerId } from "../../raft/mod.ts";
import type { ClockReading } from "../../replication/mod.ts";
import {
  checkCaller,
  encodeIntroduction,
  type Introduction,
  type PeerHello,
  type Refusal,
  type RefusalReason,
} from "../handshake/handshake.ts";
import { type BootConnection, type IdentityCheck, seenVerb } from "../identity/identity-check.ts";
import type { PeerLimits, PeerNetworkOptions, PeerReplica } from "../options.ts";
import { IncomingConnection } from "./incoming-connection.ts";
import { RequestServer } from "./request-server.ts";

export interface AcceptorOptions {
  readonly options: PeerNetworkOptions;
  readonly limits: PeerLimits;
  /** See LogTime. */
  readonly reading: () => ClockReading;
  readonly logger: Logger;
  /** Undefined before one is attached. */
  readonly replica: () => PeerReplica | undefined;
  readonly roster: () => readonly Member[];
  /** This node's number. */
  readonly peer: () => PeerId | undefined;
  /** Somebody has opened a lane of Raft's to this node: it is there, and wants to be answered. */
  readonly heardOf: (hello: PeerHello) => void;
  /** One of its connections has ended. */
  readonly left: (peer: PeerId, hello: PeerHello) => void;
  readonly guard: IdentityCheck;
  /** This node takes no part: it lets no lane in. */
  readonly outside: () => boolean;
  readonly refused: (reason: RefusalReason) => void;
  /** A line that strangers can cause. */
  readonly warn: (facts: object, fault: Fault, sentence: string) => void;
}

export class PeerAcceptor {
  readonly #ports: AcceptorOptions;
  readonly #incoming = new Set<IncomingConnection>();
  #closed = false;

  constructor(ports: AcceptorOptions) {
    this.#ports = ports;
  }

  get connections(): number {
    return this.#incoming.size;
  }

  /** Takes a connection over. `allowed` answers why this peer may not be one here, if so. */
  accept(socket: Duplex, allowed: (hello: PeerHello) => string | undefined): void {
    const { options, limits, logger } = this.#ports;
    const { handshakeMs, incomingMax, control, bulk } = limits;
    if (this.#closed || (this.#incoming.size >= incomingMax && !this.#makeRoom())) {
      logger.warn({ connections: this.#incoming.size }, "a peer's connection was turned away");
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const incoming = new IncomingConnection({
      socket,
      clock: options.clock,
      handshakeMs,
      reading: this.#ports.reading,
      // Answers only: as many may wait as may be asked for.
      bounds: { countMax: control.countMax, bytesMax: bulk.bytesMax },
      judge: (introduction) => this.#judge(introduction, allowed),
      welcome: ({ lane }) => encodeIntroduction("welcome", lane, options.self()),
      opened: (from, introduction) => this.#opened(from, introduction),
      message: (from, message) => this.#received(from, message),
      pinged: ({ introduction }, promised) => {
        if (introduction !== undefined) this.#ports.guard.heard(introduction.hello, promised);
      },
      closed: (from, fault) => this.#ended(from, fault),
    });
    this.#incoming.add(incoming);
  }

  /** Does this peer hold a lane of Raft's to here? */
  hears(peer: PeerId): boolean {
    for (const incoming of this.#incoming) if (incoming.peer === peer) return true;
    return false;
  }

  /** Who holds lanes of Raft's to here, each once, as it said itself. */
  callers(): readonly PeerHello[] {
    const hellos = new Map<PeerId, PeerHello>();
    for (const { peer, introduction } of this.#incoming)
      if (peer !== undefined && introduction !== undefined) hellos.set(peer, introduction.hello);
    return [...hellos.values()];
  }

  /** Open lanes of Raft's of this directory. */
  holders(directory: string): BootConnection[] {
    return [...this.#incoming].flatMap((incoming) => {
      const { introduction, peer } = incoming;
      const boot = introduction?.hello.boot;
      if (peer === undefined || boot === undefined || introduction?.hello.directory !== directory) return [];
      return [{ boot, signs: incoming.signs, close: (fault: Fault) => incoming.close(fault) }];
    });
  }

  /** Ends all lanes of Raft's. */
  endLanes(fault: Fault): void {
    for (const incoming of [...this.#incoming]) if (incoming.peer !== undefined) incoming.close(fault);
  }

  /** Once a second. */
  tick(): void {
    for (const incoming of [...this.#incoming]) incoming.tick(this.#ports.limits.incomingSilentTicksMax);
  }

  close(): void {
    this.#closed = true;
    const fault = new Fault("unavailable", { message: "this node is stopping" });
    for (const incoming of [...this.#incoming]) incoming.close(fault);
  }

  /** Whoever has not said who it is goes first, so that nobody can keep members out by saying nothing; then visitors. */
  #makeRoom(): boolean {
    const all = [...this.#incoming];
    const least =
      all.find(({ introduction }) => introduction === undefined) ??
      all.find(({ peer }) => peer === undefined);
    least?.close(new Fault("unavailable", { message: "others came, and there was no room" }));
    return least !== undefined;
  }

  #judge(introduction: Introduction, allowed: (hello: PeerHello) => string | undefined): Refusal | undefined {
    const { options, roster, refused, guard, outside } = this.#ports;
    const refusal = checkCaller(introduction, {
      self: options.self(),
      directoryOf: (name) => roster().find((member) => member.name === name)?.directory,
      allowed,
      claimed: (hello) => (outside() ? noPart : guard.claimed(hello)),
    });
    if (refusal !== undefined) refused(refusal.reason);
    return refusal;
  }

  #opened(incoming: IncomingConnection, { hello, lane }: Introduction): RequestServer {
    const { options, limits, replica, heardOf, guard } = this.#ports;
    const { clock, serve, authorize, begin } = options;
    if (lane !== "visit") {
      // One of each: an older one is what is left of a connection that the peer has given up.
      for (const other of [...this.#incoming]) {
        const known = other.introduction;
        if (other === incoming || known?.lane !== lane || known.hello.directory !== hello.directory) continue;
        other.close(new Fault("unavailable", { message: "the peer has connected anew" }));
      }
      heardOf(hello);
    }
    return new RequestServer({
      clock,
      from: hello,
      log: () => (replica()?.started === true ? replica()?.log : undefined),
      service: {
        ask: async (verb, body, from, signal) =>
          verb === seenVerb ? guard.told(body, from) : serve.ask(verb, body, from, signal),
      },
      isMember: () => this.#isMember(hello),
      authorize,
      begin,
      answer: (frame) => incoming.answer(frame),
      requestsMax: limits.requestsMax,
      requestBytesMax: limits.requestBytesMax,
    });
  }

  /** Before this node knows a configuration, every node may be a member. */
  #isMember({ directory }: PeerHello): boolean {
    const roster = this.#ports.roster();
    return roster.length === 0 || roster.some((member) => member.directory === directory);
  }

  #received(incoming: IncomingConnection, message: Message): void {
    const { replica, roster, peer } = this.#ports;
    const { introduction } = incoming;
    const found = replica();
    if (introduction === undefined || found?.started !== true || message.to !== peer()) return;
    const sender = incoming.peer;
    if (message.from === sender) {
      this.#ports.guard.received(introduction.hello, message);
      const fault = found.node.receive(message, introduction.hello.directory);
      if (fault !== undefined) throw fault;
    }
    // A member may pass on another's wish, and only such: for a read, or for a change of leader.
    else if (isPassedOn(message) && roster().some((member) => member.peer === sender))
      found.node.receive(message);
  }

  #ended(incoming: IncomingConnection, fault: Fault): void {
    this.#incoming.delete(incoming);
    const { peer, introduction } = incoming;
    if (peer !== undefined && introduction !== undefined) this.#ports.left(peer, introduction.hello);
    if (fault.kind === "unavailable" || fault.kind === "canceled") return;
    const { name, address } = incoming.caller?.hello ?? {};
    this.#ports.warn(
      name === undefined ? {} : { peer: name, address },
      fault,
      "a peer's connection was refused",
    );
  }
}

const noPart: Refusal = { reason: "no-part", message: "this node takes no part in its cluster now" };
const isPassedOn = ({ type }: Message): boolean => type === "read-index" || type === "transfer-leader";
