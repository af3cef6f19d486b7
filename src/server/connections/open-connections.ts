/**
 * The open sockets of the port with their places in the connection table. It admits clients and peers, counts the memory
 * of connections, and logs refusals.
 */
import type { Socket } from "node:net";
import type { ClientConnection } from "../../api/mod.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { ConnectionLimits } from "./connection-limits.ts";
import { ConnectionTable, type TableConnection } from "./connection-table.ts";

/** What a connection takes by itself, in plaintext and with TLS. */
const connectionBytes = 16 * 1024;
const secureConnectionBytes = 64 * 1024;
/** The least time between two log lines about refusals, which any client can cause. */
const refusalLineMs = 1000;

export interface OpenConnectionsOptions {
  readonly limits: ConnectionLimits;
  readonly memory: MemoryBudget | undefined;
  readonly log: Logger;
  readonly clock: Clock;
  /** A connection has closed. */
  readonly onClosed: () => void;
}

export class OpenConnections {
  readonly #memory: MemoryBudget | undefined;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #onClosed: () => void;
  readonly #table: ConnectionTable;
  readonly #sockets = new Set<Socket>();
  /** Address and port → connection. A TLS socket has those of the TCP socket below it. */
  readonly #connections = new Map<string, TableConnection>();
  /** Refusals since the last log line, and when that was. */
  #refused = 0;
  #refusedMs = -Infinity;

  constructor({ limits, memory, log, clock, onClosed }: OpenConnectionsOptions) {
    this.#memory = memory;
    this.#log = log;
    this.#clock = clock;
    this.#onClosed = onClosed;
    this.#table = new ConnectionTable(limits);
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** True if there is no connection except those of peers. */
  get hasOnlyPeers(): boolean {
    for (const { place } of this.#connections.values()) if (place !== "peer") return false;
    return true;
  }

  /** Takes a new socket. Returns false if it was refused and destroyed. */
  add(socket: Socket): boolean {
    const peer = peerOf(socket);
    const end = (reason: string): void => this.drop(socket, reason);
    const connection = this.#table.arrive(socket.remoteAddress ?? "", this.#clock.monotonicMs(), end);
    if (connection === undefined) {
      this.#logRefusal(peer, "too many connections without a request");
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    this.#connections.set(peer, connection);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#connections.delete(peer);
      this.#table.leave(connection);
      this.#onClosed();
    });
    return true;
  }

  /** Admits a peer. Returns false if it was refused and destroyed. */
  admitPeer(socket: Socket): boolean {
    const peer = peerOf(socket);
    const connection = this.#connections.get(peer);
    if (connection === undefined || !this.#table.admitPeer(connection)) {
      this.#logRefusal(peer, "too many connections of nodes");
      socket.destroy();
      return false;
    }
    return true;
  }

  /** Admits a client. Returns its place, or why it is refused; undefined if the connection is closed. */
  admitClient(
    socket: Socket,
    client: ClientConnection,
  ): AdmittedClient | { readonly refusal: string } | undefined {
    const connection = this.#connections.get(client.peer);
    if (connection === undefined) return undefined;
    const { subject, fingerprint } = client.identity;
    const memory = this.#memory;
    const bytes = client.secure ? secureConnectionBytes : connectionBytes;
    const refusal =
      memory === undefined || memory.mayConnect(bytes)
        ? this.#table.admitClient(
            connection,
            fingerprint === "" ? undefined : subject,
            this.#clock.monotonicMs(),
          )
        : "connections use all the memory that is available to them";
    if (refusal !== undefined) {
      this.#logRefusal(client.peer, refusal);
      return { refusal };
    }
    memory?.count("standing", bytes);
    socket.once("close", () => memory?.count("standing", -bytes));
    return {
      busy: () => this.#table.busy(connection),
      idle: () => this.#table.idle(connection, this.#clock.monotonicMs()),
      onEnd: (end) => {
        connection.end = (reason) => {
          this.#log.debug({ peer: client.peer }, `connection closed, it ${reason}`);
          end();
        };
      },
    };
  }

  /** Ends a connection. `reason` is a phrase whose subject is the connection. */
  drop(socket: Socket, reason: string): void {
    this.#log.debug({ peer: peerOf(socket) }, `connection closed, it ${reason}`);
    socket.destroy();
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #logRefusal(peer: string, reason: string): void {
    this.#refused++;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#refusedMs < refusalLineMs) return;
    this.#log.warn({ peer, reason, refused: this.#refused }, "connections refused");
    this.#refused = 0;
    this.#refusedMs = nowMs;
  }
}

/** A client in the connection table. */
export interface AdmittedClient {
  /** It has a request. */
  busy(): void;
  /** It has no request, so it may be ended for another client. */
  idle(): void;
  /** Sets how to end it when it is idle. */
  onEnd(end: () => void): void;
}

export const peerOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;
