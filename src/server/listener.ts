/**
 * The one port: accepts connections, looks at their first bytes and hands each to what speaks that language:
 * HTTP/1.1, HTTP/2, TLS around either, Raft peers, gossip. (The book's cmux.)
 *
 *   accept → detect → tls → (by ALPN) h2 | http/1.1 | raft
 *                  → h2c | http/1.1 | raft | gossip                      plaintext, where it is served
 *
 * Every wait has a limit and every kind of thing a cap: connections (connections/connection-table.ts) and handshakes
 * under way. A client for which there is no place hears so in its own protocol. What comes before start() waits,
 * bounded, so that the port can be taken before the log is opened.
 *
 * Never: reads a request, knows a route.
 */
import { createServer as createNet, type Server, type Socket } from "node:net";
import {
  createServer as createTls,
  type TLSSocket,
  type TlsOptions,
  type Server as TlsServer,
} from "node:tls";
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
import { type Connection, ConnectionTable } from "./connections/connection-table.ts";
import { plaintextRefusal } from "./connections/plaintext-refusal.ts";
import { detectionBytes, detectProtocol, type Protocol } from "./connections/protocol-detection.ts";
import { refusalBytes, tooManyConnections } from "./connections/refusal.ts";
import { sendAndClose } from "./connections/send-and-close.ts";
import { defaultHttpLimits, type HttpLimits, type HttpServers, httpServers } from "./http/http-servers.ts";

/** TLS as the listener needs it; agent/tls makes one. */
export interface TlsSource {
  serverOptions(): TlsOptions;
  /** Keeps the server's certificates up to date. */
  attach(server: TlsServer): void;
  /** Throws Fault "unauthenticated" for a caller that must not be served. */
  identityOf(socket: TLSSocket): Identity;
}

/** Connections that are not HTTP, nothing of them consumed. The taker owns the socket. */
export interface PortHandlers {
  /** A Raft peer: plaintext with the marker still in front, or TLS with its protocol agreed. */
  readonly raft?: (socket: Socket, identity: Identity) => void;
  /** A gossip stream. */
  readonly gossip?: (socket: Socket) => void;
}

export interface ListenerOptions {
  readonly address: Address;
  /** With TLS, plaintext is refused with a readable answer. */
  readonly tls?: TlsSource | undefined;
  /** The same number must be free for UDP. */
  readonly udp?: boolean;
  readonly connections: ConnectionLimits;
  /** Counts what connections take by themselves; without room a new one is turned away. */
  readonly memory?: MemoryBudget | undefined;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly http?: HttpLimits;
  /** For the first bytes. Default 5 s. */
  readonly detectionMs?: number;
  /** For a TLS handshake. Default 10 s. */
  readonly handshakeMs?: number;
  /** Handshakes under way at once; more are turned away, or take the place of one that has stalled. Default 512. */
  readonly handshakesMax?: number;
}

/** What a connection takes by itself, in plaintext and with TLS. */
const connectionBytes = 16 * 1024;
const secureConnectionBytes = 64 * 1024;

/** ALPN of the link between nodes. */
const raftProtocol = "tailrace-raft";

export class Listener {
  readonly #options: ListenerOptions;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #table: ConnectionTable;
  /** By address and port, under TLS and without. */
  readonly #connections = new Map<string, Connection>();
  /** Refused since the last log line, and when that was. */
  #refused = 0;
  #refusedMs = -Infinity;
  /** Those under way and since when, the oldest first. */
  readonly #handshakes = new Map<string, { readonly socket: Socket; readonly sinceMs: number }>();
  /** Connections that went through the peers\' doors, by address: they last as long as the node does. */
  readonly #peers = new Set<string>();
  #waiting: Socket[] | undefined = [];
  #http: HttpServers | undefined;
  #doors: PortHandlers = {};
  #address: Address;
  #closing = false;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.#address = options.address;
    this.#clock = options.clock ?? systemClock;
    this.#server = createNet({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    });
    this.#table = new ConnectionTable(options.connections);
    this.#server.on("connection", (socket) => this.#guard(socket, () => this.#accept(socket)));
    this.#tls = options.tls === undefined ? undefined : this.#createTls(options.tls);
  }

  /** Takes the port. Throws Fault "config" when it cannot be had. */
  static async bind(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    listener.#address = await bind(listener.#server, options.address, options.udp);
    return listener;
  }

  /** Where it listens, with the port that was picked. */
  get address(): Address {
    return this.#address;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Begins to serve, those that came before included. */
  start(router: Router, doors: PortHandlers = {}): void {
    const { log, http, memory } = this.#options;
    this.#http = httpServers(router, log, http ?? defaultHttpLimits, memory);
    this.#doors = doors;
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const socket of waiting) this.#guard(socket, () => this.#awaitFirstBytes(socket));
  }

  /**
   * No new connections and requests; what is under way has `graceMs` to finish, then all connections end. Peers are
   * not waited for, but stay until then: what is under way may need them.
   */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#waiting ?? []) socket.destroy();
    this.#http?.drain();
    const timer = this.#clock.after(graceMs, () => this.#destroyAll());
    this.#endPeersLast();
    await closed;
    timer.cancel();
    this.#tls?.close();
  }

  #endPeersLast(): void {
    if (!this.#closing) return;
    for (const socket of this.#sockets) if (!this.#peers.has(peerOf(socket))) return;
    this.#destroyAll();
  }

  /** The taker owns the socket. */
  #handOver(socket: Socket, take: () => void): void {
    const peer = peerOf(socket);
    const connection = this.#connections.get(peer);
    if (connection === undefined || !this.#table.admitPeer(connection)) {
      this.#noteRefusal(peer, "too many connections of nodes");
      socket.destroy();
      return;
    }
    this.#peers.add(peer);
    socket.once("close", () => {
      this.#peers.delete(peer);
      this.#endPeersLast();
    });
    take();
    this.#endPeersLast();
  }

  #destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    socket.on("error", () => undefined);
    const peer = peerOf(socket);
    const drop = (why: string): void => this.#drop(socket, why);
    const connection = this.#table.arrive(socket.remoteAddress ?? "", this.#clock.monotonicMs(), drop);
    if (connection === undefined) {
      this.#noteRefusal(peer, "too many connections that have not said what they want");
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    this.#connections.set(peer, connection);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#connections.delete(peer);
      this.#table.leave(connection);
      this.#endPeersLast();
    });
    if (this.#waiting === undefined) this.#awaitFirstBytes(socket);
    else if (this.#waiting.length < 256) this.#waiting.push(socket);
    else socket.destroy();
  }

  /** Waits for the first bytes, puts them back and hands the socket on. */
  #awaitFirstBytes(socket: Socket): void {
    const timer = this.#clock.after(this.#options.detectionMs ?? 5_000, () =>
      this.#drop(socket, "said nothing"),
    );
    const stop = (): void => {
      timer.cancel();
      socket.off("readable", onReadable);
      socket.off("end", onEnd);
      socket.off("close", stop);
    };
    const onEnd = (): void => {
      stop();
      socket.destroy();
    };
    let head: Buffer = Buffer.alloc(0);
    const onReadable = (): void => this.#guard(socket, look);
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      if (head.length < detectionBytes) return;
      stop();
      socket.unshift(head);
      this.#dispatch(socket, detectProtocol(head), head[0]!);
    };
    socket.on("readable", onReadable);
    socket.once("end", onEnd);
    socket.once("close", stop);
  }

  #dispatch(socket: Socket, spoken: Protocol, first: number): void {
    const { tls } = this.#options;
    if (spoken === "tls" && this.#tls !== undefined) {
      this.#handshake(socket, this.#tls);
      return;
    }
    const { gossip, raft } = this.#doors;
    if (spoken === "gossip" && gossip !== undefined) {
      this.#handOver(socket, () => gossip(socket));
      return;
    }
    const isHttp = spoken === "http1" || spoken === "h2c";
    if (isHttp && tls !== undefined) {
      this.#options.log.debug({ peer: peerOf(socket) }, "plaintext on a port that speaks TLS");
      sendAndClose(socket, plaintextRefusal(spoken), this.#clock);
      return;
    }
    const identity = isLoopback(plainAddress(socket.remoteAddress)) ? localIdentity : anonymousIdentity;
    if (isHttp) this.#serve(spoken, socket, { identity, peer: peerOf(socket), secure: false });
    else if (spoken === "raft" && tls === undefined && raft !== undefined)
      this.#handOver(socket, () => raft(socket, identity));
    else this.#drop(socket, `began with byte ${first}, which nothing here speaks`);
  }

  /** The boundary of a connection until it is handed on: what a handler throws ends it. */
  #guard(socket: Socket, work: () => void): void {
    guarded(socket, this.#options.log, "a connection failed before it was served, and is ended", work);
  }

  /** Hands a client over, or tells it that there are too many. */
  #serve(spoken: "http1" | "h2c", socket: Socket, caller: ClientConnection): void {
    const connection = this.#connections.get(caller.peer);
    if (connection === undefined) {
      socket.destroy();
      return;
    }
    const { subject, fingerprint } = caller.identity;
    const named = fingerprint === "" ? undefined : subject;
    const { memory } = this.#options;
    const bytes = caller.secure ? secureConnectionBytes : connectionBytes;
    const refusal =
      memory === undefined || memory.mayConnect(bytes)
        ? this.#table.admitClient(connection, named, this.#clock.monotonicMs())
        : "connections hold all the memory that they may";
    if (refusal === undefined) {
      memory?.count("standing", bytes);
      socket.once("close", () => memory?.count("standing", -bytes));
      const end = this.#http?.serve(spoken, socket, caller, {
        busy: () => this.#table.busy(connection),
        idle: () => this.#table.idle(connection, this.#clock.monotonicMs()),
      });
      connection.end = (why) => {
        this.#options.log.debug({ peer: caller.peer }, `connection closed, it ${why}`);
        end?.();
      };
      return;
    }
    this.#noteRefusal(caller.peer, refusal);
    sendAndClose(socket, refusalBytes(spoken, tooManyConnections(refusal)), this.#clock);
  }

  /** Any client can cause these lines: one a second, with how many refusals it stands for. */
  #noteRefusal(peer: string, reason: string): void {
    this.#refused++;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#refusedMs < 1000) return;
    this.#options.log.warn({ peer, reason, refused: this.#refused }, "connections refused");
    this.#refused = 0;
    this.#refusedMs = nowMs;
  }

  #drop(socket: Socket, why: string): void {
    this.#options.log.debug({ peer: peerOf(socket) }, `connection closed, it ${why}`);
    socket.destroy();
  }

  #createTls(source: TlsSource): TlsServer {
    const server = createTls({
      ...source.serverOptions(),
      handshakeTimeout: this.#options.handshakeMs ?? 10_000,
    });
    source.attach(server);
    server.on("secureConnection", (socket) => this.#guard(socket, () => this.#secured(socket, source)));
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }

  #handshake(socket: Socket, server: TlsServer): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#handshakes.size >= (this.#options.handshakesMax ?? 512) && !this.#dropStalled(nowMs)) {
      this.#drop(socket, "came while too many handshakes were under way");
      return;
    }
    const peer = peerOf(socket);
    this.#handshakes.set(peer, { socket, sinceMs: nowMs });
    socket.once("close", () => this.#handshakes.delete(peer));
    server.emit("connection", socket);
  }

  /** Ends the oldest handshake if it has stalled, so that a few hundred who never finish do not shut the port. */
  #dropStalled(nowMs: number): boolean {
    for (const [peer, { socket, sinceMs }] of this.#handshakes) {
      if (nowMs - sinceMs < this.#options.connections.stalledMs) return false;
      this.#handshakes.delete(peer);
      this.#drop(socket, "took too long over its handshake while others waited");
      return true;
    }
    return false;
  }

  #secured(socket: TLSSocket, source: TlsSource): void {
    this.#handshakes.delete(peerOf(socket));
    socket.on("error", () => undefined);
    let identity: Identity;
    try {
      identity = source.identityOf(socket);
    } catch (reason) {
      this.#refuse(socket, Fault.from(reason));
      return;
    }
    if (socket.alpnProtocol === raftProtocol) {
      const { raft } = this.#doors;
      if (raft === undefined) this.#drop(socket, "is a peer, and this node has no cluster");
      else this.#handOver(socket, () => raft(socket, identity));
      return;
    }
    const spoken = socket.alpnProtocol === "h2" ? "h2c" : "http1";
    this.#serve(spoken, socket, { identity, peer: peerOf(socket), secure: true });
  }

  /** Tells a caller of HTTP/1.1 why; the others see a closed connection, and the log line of whoever refused them. */
  #refuse(socket: TLSSocket, fault: Fault): void {
    if (socket.alpnProtocol === "h2" || socket.alpnProtocol === raftProtocol) {
      socket.destroy();
      return;
    }
    const body = `${JSON.stringify({ code: "unauthenticated", message: fault.message, written: "no" })}\n`;
    const length = Buffer.byteLength(body);
    const head = `HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: ${length}`;
    const rest = "x-content-type-options: nosniff\r\nconnection: close";
    sendAndClose(socket, `${head}\r\n${rest}\r\n\r\n${body}`, this.#clock);
  }
}

const peerOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;

/** An IPv4 address that came in on an IPv6 socket, as an IPv4 address. */
const plainAddress = (address: string | undefined): string => (address ?? "").replace(/^::ffff:(?=\d)/, "");
