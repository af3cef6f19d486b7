/**
 * The TCP side of gossip: one message in each direction, on sockets that this node dials, on those of its own listener,
 * and on those that the shared port hands over.
 *
 * Invariant: at most `inboundMax` accepted sockets, each for at most `timeoutMs`, which together buffer at most
 * `inboundBytesMax`. At the first limit, the oldest socket of the host with the most sockets is closed. At the second
 * limit, the socket that buffers the most is closed. So one peer cannot keep the others out.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Endpoint } from "../codec/address.ts";
import type { WireOptions } from "../codec/packet.ts";
import { encodeStreamMessage, StreamReader } from "../codec/stream.ts";
import { normalizeAddress } from "./datagrams.ts";
import { bindFault, handlerFault, streamLostFault } from "./faults.ts";

export interface StreamLimits {
  /** Largest message. Default 8 MiB. */
  readonly bytesMax: number;
  /** Most accepted sockets. Default 64. */
  readonly inboundMax: number;
  /** Most bytes of incomplete messages and unsent replies of all accepted sockets. Default 32 MiB. */
  readonly inboundBytesMax: number;
  /** Longest life of an accepted socket. Default 10 s. */
  readonly timeoutMs: number;
}

export interface StreamHandlers {
  /** Returns the reply to a message, or undefined for no reply. A Fault closes the stream. */
  onStream(from: Endpoint, message: Buffer): Buffer | undefined;
  onProblem(from: Endpoint, fault: Fault): void;
}

interface Inbound {
  readonly from: Endpoint;
  bufferedBytes: number;
}

export class Streams {
  readonly #clock: Clock;
  readonly #wire: WireOptions;
  readonly #limits: StreamLimits;
  readonly #open = new Set<Socket>();
  /** Accepted and open sockets, the oldest first. */
  readonly #inbound = new Map<Socket, Inbound>();
  #inboundBytes = 0;
  #server: Server | undefined;
  #closed = false;
  handlers: StreamHandlers = { onStream: () => undefined, onProblem: () => {} };

  constructor(clock: Clock, wire: WireOptions, limits: StreamLimits) {
    this.#clock = clock;
    this.#wire = wire;
    this.#limits = limits;
  }

  /**
   * Opens a listener. Returns its port.
   * @throws Fault "unavailable" if the port cannot be bound
   */
  listen(host: string, port: number): Promise<number> {
    const server = createServer((socket) => this.accept(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", (cause) => reject(bindFault(cause, host, port)));
      server.listen({ host, port, exclusive: true }, () => {
        server.removeAllListeners("error");
        server.on("error", () => {});
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  /** Serves a socket whose first byte is one of memberlist's. Bytes that were read before must be put back. */
  accept(socket: Socket): void {
    const from = {
      host: normalizeAddress(socket.remoteAddress ?? "0.0.0.0"),
      port: socket.remotePort ?? 0,
    };
    if (this.#closed) {
      socket.destroy();
      return;
    }
    if (this.#inbound.size >= this.#limits.inboundMax) this.#evictOldest();
    const inbound: Inbound = { from, bufferedBytes: 0 };
    this.#inbound.set(socket, inbound);
    socket.once("close", () => this.#remove(socket, inbound));
    this.#receive(socket, this.#limits.timeoutMs, (bytes) => this.#setBuffered(inbound, bytes)).then(
      (message) => this.#reply(socket, inbound, message),
      (fault: Fault) => {
        socket.destroy();
        this.handlers.onProblem(from, fault);
      },
    );
  }

  /**
   * Sends one message and returns the reply.
   * @throws Fault "unavailable", "deadline", or that of a malformed reply
   */
  async exchange(to: Endpoint, request: Buffer, timeoutMs: number): Promise<Buffer> {
    const socket = connect({ host: to.host, port: to.port, noDelay: true });
    socket.once("connect", () => socket.write(encodeStreamMessage(request, this.#wire)));
    try {
      return await this.#receive(socket, timeoutMs);
    } finally {
      socket.destroy();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const server = this.#server;
    const ended = new Promise<void>((resolve) =>
      server === undefined ? resolve() : server.close(() => resolve()),
    );
    for (const socket of this.#open) socket.destroy();
    await ended;
  }

  /** Closes the oldest socket of the host that has the most. */
  #evictOldest(): void {
    const counts = new Map<string, number>();
    for (const { from } of this.#inbound.values()) counts.set(from.host, (counts.get(from.host) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const found = [...this.#inbound].find(([, { from }]) => counts.get(from.host) === most);
    if (found !== undefined) this.#evict(found, "too many gossip streams are open, the oldest is closed");
  }

  #setBuffered(inbound: Inbound, bytes: number): void {
    this.#inboundBytes += bytes - inbound.bufferedBytes;
    inbound.bufferedBytes = bytes;
    while (this.#inboundBytes > this.#limits.inboundBytesMax) {
      const largest = [...this.#inbound].reduce((one, other) =>
        other[1].bufferedBytes > one[1].bufferedBytes ? other : one,
      );
      this.#evict(largest, "gossip streams buffer too many bytes, the largest is closed");
    }
  }

  #evict([socket, inbound]: [Socket, Inbound], message: string): void {
    this.#remove(socket, inbound);
    this.handlers.onProblem(inbound.from, new Fault("overloaded", { message }));
    socket.destroy();
  }

  #remove(socket: Socket, inbound: Inbound): void {
    this.#inbound.delete(socket);
    this.#inboundBytes -= inbound.bufferedBytes;
    inbound.bufferedBytes = 0;
  }

  #reply(socket: Socket, inbound: Inbound, message: Buffer): void {
    if (socket.destroyed) return;
    try {
      const reply = this.handlers.onStream(inbound.from, message);
      if (reply === undefined) {
        socket.end();
        return;
      }
      const bytes = encodeStreamMessage(reply, this.#wire);
      socket.end(bytes);
      // The reply stays in memory until the peer reads it.
      this.#setBuffered(inbound, bytes.length);
    } catch (reason) {
      socket.destroy();
      this.handlers.onProblem(inbound.from, handlerFault(reason));
    }
  }

  /** Reads one complete message. The socket is destroyed after `timeoutMs`, whatever happens to it. */
  #receive(socket: Socket, timeoutMs: number, onBuffered?: (bytes: number) => void): Promise<Buffer> {
    const reader = new StreamReader(this.#wire, this.#limits.bytesMax);
    this.#open.add(socket);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        socket.destroy();
        reject(new Fault("deadline", { message: "a gossip stream took too long", facts: { timeoutMs } }));
      });
      socket.on("error", (cause) => reject(streamLostFault(cause)));
      socket.on("end", () => reject(streamLostFault(undefined)));
      socket.once("close", () => {
        timer.cancel();
        this.#open.delete(socket);
        reject(streamLostFault(undefined));
      });
      let done = false;
      socket.on("data", (chunk: Buffer) => {
        if (done) return; // Bytes after the message are not read.
        try {
          const message = reader.push(chunk);
          done = message !== undefined;
          onBuffered?.(done ? 0 : reader.bufferedBytes);
          if (message !== undefined) resolve(message);
        } catch (reason) {
          done = true;
          reject(handlerFault(reason));
        }
      });
      socket.resume(); // The shared port may have paused it.
    });
  }
}
