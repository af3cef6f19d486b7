/**
 * An H2Connection on a socket: reads, writes all of a turn at once, heeds the socket's back-pressure, and forwards to
 * Node's own HTTP/2 server whatever its owner does not serve itself.
 *
 * Never: decides who serves a request.
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import type { Clock } from "../../lib/clock.ts";
import { defaultH2Limits, H2Connection, type H2Host, type H2Limits } from "./h2-connection.ts";
import type { H2Stream } from "./h2-stream.ts";
import { StreamProxy } from "./stream-proxy.ts";

/** Gathered while the socket takes nothing; a peer that makes us owe it more is cut off. */
const owedBytesMax = 4 * 1024 * 1024;
/** For the last bytes to leave once the connection is over. */
const lingerMs = 2000;

export interface H2SessionOptions {
  readonly clock: Clock;
  readonly limits?: H2Limits;
  /** Serves a request, or answers false. */
  readonly serve: (stream: H2Stream, headers: IncomingHttpHeaders) => boolean;
  /** Gives a connection to Node's HTTP/2 server, for what serve() does not take. */
  readonly fallback: (connection: Duplex) => void;
  readonly onClose: () => void;
}

export class H2Session implements H2Host {
  readonly connection: H2Connection;
  readonly #socket: Duplex;
  readonly #options: H2SessionOptions;
  #proxy: StreamProxy | undefined;
  #flushDue = false;
  #congested = false;
  #ending = false;

  constructor(socket: Duplex, options: H2SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.connection = new H2Connection(this, options.limits ?? defaultH2Limits);
    socket.on("data", (chunk: Buffer) => this.connection.feed(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.#end());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#onClose());
    this.wantsToSend();
  }

  /** Takes no new requests; ends once those under way have. */
  drain(): void {
    this.connection.drain();
  }

  // As host of the connection.

  onRequest(stream: H2Stream, headers: IncomingHttpHeaders): void {
    if (this.#options.serve(stream, headers)) return;
    this.#proxy ??= new StreamProxy(this.#options.fallback);
    this.#proxy.forward(stream, headers);
  }

  monotonicMs(): number {
    return this.#options.clock.monotonicMs();
  }

  wantsToSend(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    queueMicrotask(this.#flush);
  }

  close(): void {
    this.#end();
  }

  readonly #flush = (): void => {
    this.#flushDue = false;
    const { out } = this.connection;
    if (out.bytes === 0 || this.#socket.destroyed || this.#socket.writableEnded) return;
    if (this.#congested && !this.#ending) {
      if (out.bytes > owedBytesMax) this.#socket.destroy();
      return;
    }
    const chunks = out.take();
    const waiting = this.connection.takeSent();
    const sent = waiting.length === 0 ? undefined : teller(waiting);
    let room = true;
    if (chunks.length > 1) this.#socket.cork();
    for (let at = 0; at < chunks.length; at++) {
      const told = at === chunks.length - 1 ? sent : undefined;
      room = this.#socket.write(chunks[at] as Uint8Array, told);
    }
    if (chunks.length > 1) this.#socket.uncork();
    if (!room && !this.#congested) {
      this.#congested = true;
      this.connection.congested(true);
    }
  };

  #onDrain(): void {
    this.#congested = false;
    this.connection.congested(false);
    this.#flush();
  }

  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#flush();
    this.connection.hangUp();
    this.#socket.end();
    const linger = this.#options.clock.after(lingerMs, () => this.#socket.destroy());
    this.#socket.once("close", () => linger.cancel());
  }

  #onClose(): void {
    this.connection.hangUp();
    this.#proxy?.close();
    this.#options.onClose();
  }
}

/** For the last chunk of a write: when that has left, so has all before it. After an error nobody is told: all is over. */
const teller =
  (waiting: readonly (() => void)[]) =>
  (error?: Error | null): void => {
    if (error === undefined || error === null) for (const callback of waiting) callback();
  };
