/**
 * The TLS server behind the port, and the limit of its handshakes. At the limit, a new handshake takes the place of the
 * oldest one if that has stalled, so that clients that never finish cannot block the port. A handshake takes about a
 * millisecond of CPU time, so handshakes that arrive together begin in several turns of the event loop.
 */
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket, type TlsOptions } from "node:tls";
import type { Identity } from "../../access/mod.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import { peerOf } from "../connections/open-connections.ts";

/** TLS as the listener needs it. NodeTls is one. */
export interface TlsSource {
  serverOptions(): TlsOptions;
  /** Keeps the server's certificates up to date. */
  attach(server: Server): void;
  /** @throws Fault "unauthenticated" for a client that must not be served */
  identityOf(socket: TLSSocket): Identity;
}

export interface TlsHandshakesOptions {
  readonly clock: Clock;
  readonly handshakeMs: number;
  readonly handshakesMax: number;
  /** A handshake that is older than this may be replaced at the limit. */
  readonly stalledMs: number;
  /** A handshake is complete. What it throws must not leave it. */
  readonly onSecure: (socket: TLSSocket) => void;
  /** Runs a handler of a socket; what it throws must end the socket. */
  readonly guard: (socket: Socket, work: () => void) => void;
  /** Ends a connection. `reason` is a phrase whose subject is the connection. */
  readonly drop: (socket: Socket, reason: string) => void;
}

export class TlsHandshakes {
  readonly #options: TlsHandshakesOptions;
  readonly #server: Server;
  /** Address and port → a handshake that is not complete. The oldest is first. */
  readonly #open = new Map<string, { readonly socket: Socket; readonly sinceMs: number }>();

  constructor(source: TlsSource, options: TlsHandshakesOptions) {
    this.#options = options;
    this.#server = createServer({
      ...source.serverOptions(),
      handshakeTimeout: options.handshakeMs,
    });
    source.attach(this.#server);
    this.#server.on("secureConnection", (socket) => {
      this.#open.delete(peerOf(socket));
      options.onSecure(socket);
    });
    this.#server.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  /** Begins a handshake on a socket whose bytes are all unread. */
  begin(socket: Socket): void {
    const { clock, handshakesMax, drop } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#open.size >= handshakesMax && !this.#dropStalled(nowMs)) {
      drop(socket, "came while too many handshakes were open");
      return;
    }
    const peer = peerOf(socket);
    this.#open.set(peer, { socket, sinceMs: nowMs });
    socket.once("close", () => this.#open.delete(peer));
    const work = workTurns(clock);
    const start = (): void => {
      if (!socket.destroyed) this.#server.emit("connection", socket);
    };
    if (work.mayBegin()) start();
    else work.wait(() => this.#options.guard(socket, start));
  }

  #dropStalled(nowMs: number): boolean {
    for (const [peer, { socket, sinceMs }] of this.#open) {
      if (nowMs - sinceMs < this.#options.stalledMs) return false;
      this.#open.delete(peer);
      this.#options.drop(socket, "stalled in its handshake while others waited");
      return true;
    }
    return false;
  }

  close(): void {
    this.#server.close();
  }
}
