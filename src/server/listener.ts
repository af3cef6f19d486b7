/**
 * The one port: accepts connections, detects their protocol by the first bytes and passes each to what serves it.
 *
 *   accept → detect → tls → (by ALPN) http2 | http1 | raft
 *                   → http2 | http1 | raft | gossip             in plaintext, if TLS is off; gossip always
 *
 * Every wait has a time limit, and connections and handshakes have a maximum. A refused client gets a message in its
 * protocol. The port can be bound before the log is open: connections that arrive before start() wait, up to a limit.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { anonymousIdentity, type Identity, localIdentity } from "../access/mod.ts";
import type { ClientConnection, Router } from "../api/mod.ts";
import { Fault } from "../fault.ts";
import { guarded } from "../lib/boundary.ts";
import type { Logger } from "../lib/telemetry.ts";
import { type Clock, systemClock } from "../lib/time/clock.ts";
import { type Address, isLoopback } from "../lib/value-kind.ts";
import type { MemoryBudget } from "../memory/mod.ts";
import { bind } from "./bind.ts";
import type { ConnectionLimits } from "./connections/connection-limits.ts";
import { awaitFirstBytes } from "./connections/first-bytes.ts";
import { OpenConnections, peerOf } from "./connections/open-connections.ts";
import { detectionBytes, detectProtocol } from "./connections/protocol-detection.ts";
import {
  type HttpVersion,
  http1Bytes,
  plaintextRefusal,
  refusalBytes,
  tooManyConnections,
  unauthenticated,
} from "./connections/refusal.ts";
import { sendAndClose } from "./connections/send-and-close.ts";
import type { HttpLimits } from "./http/http-limits.ts";
import { HttpServers } from "./http/http-servers.ts";
import { peerProtocol } from "./tls/peer-protocol.ts";
import { TlsHandshakes, type TlsSource } from "./tls/tls-handshakes.ts";

/** Serve connections that are not HTTP. All their bytes are unread; the handler owns the socket. */
export interface PortHandlers {
  /** A Raft link: in plaintext, where it begins with raftMarker, or in TLS with peerProtocol. */
  readonly raft?: (socket: Socket, identity: Identity) => void;
  /** A memberlist stream. */
  readonly gossip?: (socket: Socket) => void;
}

export interface ListenerOptions {
  /** Port 0 picks a free one. */
  readonly address: Address;
  /** With TLS, plaintext HTTP is refused with a message. Default: no TLS. */
  readonly tls?: TlsSource | undefined;
  /** The port number must be free for UDP too. Default false. */
  readonly udp?: boolean;
  readonly connections: ConnectionLimits;
  /** Counts the memory of connections; without space new ones are refused. Default: it is not counted. */
  readonly memory?: MemoryBudget | undefined;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Time limits of HTTP. */
  readonly http?: HttpLimits;
  /** Time limit for the first bytes, milliseconds. Default 5,000. */
  readonly detectionMs?: number;
  /** Time limit for a TLS handshake, milliseconds. Default 10,000. */
  readonly handshakeMs?: number;
  /** Concurrent TLS handshakes. Default 512. */
  readonly handshakesMax?: number;
}

const detectionMsDefault = 5_000;
const handshakeMsDefault = 10_000;
const handshakesMaxDefault = 512;
/** Connections that wait for start(). */
const earlyMax = 256;
const keepAliveMs = 30_000;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #open: OpenConnections;
  readonly #handshakes: TlsHandshakes | undefined;
  /** Connections that arrived before start(); undefined after it. */
  #early: Socket[] | undefined = [];
  #http: HttpServers | undefined;
  #handlers: PortHandlers = {};
  #address: Address;
  #isClosing = false;

  private constructor(options: ListenerOptions) {
    const { connections: limits, memory, log, clock = systemClock } = options;
    this.#options = options;
    this.#address = options.address;
    this.#clock = clock;
    this.#open = new OpenConnections({
      limits,
      memory,
      log,
      clock,
      onClosed: () => this.#endPeersLast(),
    });
    this.#handshakes = options.tls === undefined ? undefined : this.#createHandshakes(options.tls);
    this.#server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
    });
    this.#server.on("connection", (socket) => this.#guard(socket, () => this.#accept(socket)));
  }

  /** @throws Fault "config" if the port is not available */
  static async bind(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    listener.#address = await bind(
      listener.#server,
      { flag: "--addr", address: options.address },
      options.udp,
    );
    return listener;
  }

  /** The address with the port that was picked. */
  get address(): Address {
    return this.#address;
  }

  /** The number of open connections. */
  get connections(): number {
    return this.#open.size;
  }

  /** Begins to serve, including the connections that arrived before. */
  start(router: Router, handlers: PortHandlers = {}): void {
    const { log, http: limits, memory } = this.#options;
    this.#http = new HttpServers({ router, log, limits, memory });
    this.#handlers = handlers;
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const socket of early) this.#guard(socket, () => this.#detect(socket));
  }

  /**
   * Takes no new connections and requests. What is open has `graceMs` to finish; then all connections end. Connections of
   * peers stay until the others have ended, because requests may need them.
   */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#early ?? []) socket.destroy();
    this.#http?.drain();
    const timer = this.#clock.after(graceMs, () => this.#open.destroyAll());
    this.#endPeersLast();
    await closed;
    timer.cancel();
    this.#handshakes?.close();
  }

  #endPeersLast(): void {
    if (this.#isClosing && this.#open.hasOnlyPeers) this.#open.destroyAll();
  }

  #createHandshakes(tls: TlsSource): TlsHandshakes {
    const { handshakeMs = handshakeMsDefault, handshakesMax = handshakesMaxDefault } = this.#options;
    return new TlsHandshakes(tls, {
      clock: this.#clock,
      handshakeMs,
      handshakesMax,
      stalledMs: this.#options.connections.stalledMs,
      onSecure: (socket) => this.#guard(socket, () => this.#onSecure(socket, tls)),
      guard: (socket, work) => this.#guard(socket, work),
      drop: (socket, reason) => this.#open.drop(socket, reason),
    });
  }

  /** The error boundary of a connection until it is passed on: what a handler throws ends it. */
  #guard(socket: Socket, work: () => void): void {
    guarded(socket, this.#options.log, "a connection failed before it was served, and is ended", work);
  }

  #accept(socket: Socket): void {
    socket.on("error", () => undefined);
    if (!this.#open.add(socket)) return;
    if (this.#early === undefined) this.#detect(socket);
    else if (this.#early.length < earlyMax) this.#early.push(socket);
    else socket.destroy();
  }

  #detect(socket: Socket): void {
    awaitFirstBytes(socket, {
      clock: this.#clock,
      bytes: detectionBytes,
      timeoutMs: this.#options.detectionMs ?? detectionMsDefault,
      onBytes: (head) => this.#dispatch(socket, head),
      onTimeout: () => this.#open.drop(socket, "sent nothing"),
      guard: (work) => this.#guard(socket, work),
    });
  }

  #dispatch(socket: Socket, head: Buffer): void {
    const protocol = detectProtocol(head);
    const { gossip, raft } = this.#handlers;
    const isPlaintext = this.#handshakes === undefined;
    if (protocol === "tls" && this.#handshakes !== undefined) {
      this.#handshakes.begin(socket);
    } else if (protocol === "gossip" && gossip !== undefined) {
      this.#passOn(socket, () => gossip(socket));
    } else if (protocol === "raft" && isPlaintext && raft !== undefined) {
      this.#passOn(socket, () => raft(socket, plaintextIdentity(socket)));
    } else if (protocol === "http1" || protocol === "http2") {
      this.#plaintextHttp(socket, protocol);
    } else {
      this.#open.drop(socket, `began with byte ${head[0]}, which is not a protocol of this port`);
    }
  }

  #plaintextHttp(socket: Socket, version: HttpVersion): void {
    if (this.#handshakes === undefined) {
      this.#serve(version, socket, {
        identity: plaintextIdentity(socket),
        peer: peerOf(socket),
        secure: false,
      });
      return;
    }
    this.#options.log.debug({ peer: peerOf(socket) }, "plaintext on a port that requires TLS");
    sendAndClose(socket, refusalBytes(version, plaintextRefusal), this.#clock);
  }

  #onSecure(socket: TLSSocket, tls: TlsSource): void {
    socket.on("error", () => undefined);
    let identity: Identity;
    try {
      identity = tls.identityOf(socket);
    } catch (reason) {
      this.#refuseIdentity(socket, Fault.from(reason));
      return;
    }
    if (socket.alpnProtocol === peerProtocol) {
      const { raft } = this.#handlers;
      if (raft === undefined) this.#open.drop(socket, "is a peer, and this node has no cluster");
      else this.#passOn(socket, () => raft(socket, identity));
      return;
    }
    const version = socket.alpnProtocol === "h2" ? "http2" : "http1";
    this.#serve(version, socket, { identity, peer: peerOf(socket), secure: true });
  }

  /** Sends the reason to a client of HTTP/1.1. For others only the log has it. */
  #refuseIdentity(socket: TLSSocket, fault: Fault): void {
    if (socket.alpnProtocol === "h2" || socket.alpnProtocol === peerProtocol) socket.destroy();
    else sendAndClose(socket, http1Bytes(unauthenticated(fault.message)), this.#clock);
  }

  /** Passes a connection to the handler of peers. */
  #passOn(socket: Socket, handle: () => void): void {
    if (!this.#open.admitPeer(socket)) return;
    handle();
    this.#endPeersLast();
  }

  #serve(version: HttpVersion, socket: Socket, client: ClientConnection): void {
    const admitted = this.#open.admitClient(socket, client);
    if (admitted === undefined) {
      socket.destroy();
      return;
    }
    if ("refusal" in admitted) {
      sendAndClose(socket, refusalBytes(version, tooManyConnections(admitted.refusal)), this.#clock);
      return;
    }
    const end = this.#http?.serve(version, socket, client, admitted);
    admitted.onEnd(() => end?.());
  }
}

/** The identity of a client without TLS: `local` on loopback, else `anonymous`. */
const plaintextIdentity = (socket: Socket): Identity =>
  isLoopback(plainAddress(socket.remoteAddress)) ? localIdentity : anonymousIdentity;

/** An IPv4 address that is mapped to IPv6, as IPv4. */
const plainAddress = (address: string | undefined): string => (address ?? "").replace(/^::ffff:(?=\d)/, "");
