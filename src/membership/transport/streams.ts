/**
 * The TCP side of gossip: one message there and one back, on sockets we dial, on those of a listener of our own, and
 * on those that the one port's mux hands over.
 *
 * Invariant: at most `inboundMax` accepted sockets at a time, each for at most `timeoutMs`, that keep together at most
 * `inboundBytesMax` of what is not whole yet. Whoever takes too much loses its own first: one socket more takes the
 * place of the oldest of the host that has the most, bytes too many end the socket that keeps the most.
 *
 * Never: keeps a socket for a second message.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Endpoint } from "../codec/address.ts";
import type { WireOptions } from "../codec/packet.ts";
import { encodeStreamMessage, StreamReader } from "../codec/stream.ts";
import { bindFault, faultOf, normalizeAddress } from "./datagrams.ts";

export interface StreamLimits {
  readonly bytesMax: number;
  readonly inboundMax: number;
  /** Bytes kept of messages that are not whole yet, all accepted sockets together. */
  readonly inboundBytesMax: number;
  readonly timeoutMs: number;
}

export interface StreamHandlers {
  /** The answer to a message that came in; undefined: none. A Fault thrown here closes the stream. */
  answer(from: Endpoint, message: Buffer): Buffer | undefined;
  refused(from: Endpoint, fault: Fault): void;
}

interface Inbound {
  readonly from: Endpoint;
  heldBytes: number;
}

export class Streams {
  readonly #clock: Clock;
  readonly #wrapping: WireOptions;
  readonly #limits: StreamLimits;
  readonly #open = new Set<Socket>();
  /** Accepted and open, the oldest first. */
  readonly #inbound = new Map<Socket, Inbound>();
  #inboundBytes = 0;
  #server: Server | undefined;
  #closed = false;
  handlers: StreamHandlers = { answer: () => undefined, refused: () => {} };

  constructor(clock: Clock, wrapping: WireOptions, limits: StreamLimits) {
    this.#clock = clock;
    this.#wrapping = wrapping;
    this.#limits = limits;
  }

  /** Listens on a port of our own; answers its number. Throws Fault "unavailable". */
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

  /** Serves a socket whose first byte is memberlist's; bytes read already were put back into it. */
  accept(socket: Socket): void {
    const from = { host: normalizeAddress(socket.remoteAddress ?? "0.0.0.0"), port: socket.remotePort ?? 0 };
    if (this.#closed) {
      socket.destroy();
      return;
    }
    if (this.#inbound.size >= this.#limits.inboundMax) this.#makeRoom();
    const inbound: Inbound = { from, heldBytes: 0 };
    this.#inbound.set(socket, inbound);
    socket.once("close", () => this.#forget(socket, inbound));
    this.#receive(socket, this.#limits.timeoutMs, (bytes) => this.#hold(inbound, bytes)).then(
      (message) => this.#reply(socket, inbound, message),
      (fault: Fault) => {
        socket.destroy();
        this.handlers.refused(from, fault);
      },
    );
  }

  /** Sends one message and answers what comes back. Throws Fault "unavailable", "deadline", or of a bad answer. */
  async exchange(to: Endpoint, request: Buffer, timeoutMs: number): Promise<Buffer> {
    const socket = connect({ host: to.host, port: to.port, noDelay: true });
    socket.once("connect", () => socket.write(encodeStreamMessage(request, this.#wrapping)));
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

  #makeRoom(): void {
    const counts = new Map<string, number>();
    for (const { from } of this.#inbound.values()) counts.set(from.host, (counts.get(from.host) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const found = [...this.#inbound].find(([, { from }]) => counts.get(from.host) === most);
    if (found !== undefined) this.#evict(found, "too many gossip streams are open, the oldest gives way");
  }

  #hold(inbound: Inbound, bytes: number): void {
    this.#inboundBytes += bytes - inbound.heldBytes;
    inbound.heldBytes = bytes;
    while (this.#inboundBytes > this.#limits.inboundBytesMax) {
      const largest = [...this.#inbound].reduce((one, other) =>
        other[1].heldBytes > one[1].heldBytes ? other : one,
      );
      this.#evict(largest, "gossip streams keep too many bytes, the largest gives way");
    }
  }

  #evict([socket, inbound]: [Socket, Inbound], message: string): void {
    this.#forget(socket, inbound);
    this.handlers.refused(inbound.from, new Fault("overloaded", { message }));
    socket.destroy();
  }

  #forget(socket: Socket, inbound: Inbound): void {
    this.#inbound.delete(socket);
    this.#inboundBytes -= inbound.heldBytes;
    inbound.heldBytes = 0;
  }

  #reply(socket: Socket, inbound: Inbound, message: Buffer): void {
    if (socket.destroyed) return;
    try {
      const reply = this.handlers.answer(inbound.from, message);
      if (reply === undefined) {
        socket.end();
        return;
      }
      const bytes = encodeStreamMessage(reply, this.#wrapping);
      socket.end(bytes);
      // Whoever does not read makes us keep it.
      this.#hold(inbound, bytes.length);
    } catch (reason) {
      socket.destroy();
      this.handlers.refused(inbound.from, faultOf(reason));
    }
  }

  /** One whole message. The socket lives at most `timeoutMs`, whatever happens to it. */
  #receive(socket: Socket, timeoutMs: number, hold?: (bytes: number) => void): Promise<Buffer> {
    const reader = new StreamReader(this.#wrapping, this.#limits.bytesMax);
    this.#open.add(socket);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        socket.destroy();
        reject(new Fault("deadline", { message: "a gossip stream took too long", facts: { timeoutMs } }));
      });
      socket.on("error", (cause) => reject(lost(cause)));
      socket.on("end", () => reject(lost(undefined)));
      socket.once("close", () => {
        timer.cancel();
        this.#open.delete(socket);
        reject(lost(undefined));
      });
      let done = false;
      socket.on("data", (chunk: Buffer) => {
        if (done) return; // Whatever follows the message is not read.
        try {
          const message = reader.push(chunk);
          done = message !== undefined;
          hold?.(done ? 0 : reader.bufferedBytes);
          if (message !== undefined) resolve(message);
        } catch (reason) {
          done = true;
          reject(faultOf(reason));
        }
      });
      socket.resume(); // Whoever handed it over may have paused it.
    });
  }
}

function lost(cause: unknown): Fault {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "closed";
  const message =
    code === "closed"
      ? "the other side closed the gossip stream without a word, as it does for another key or label"
      : "a gossip stream broke off";
  return new Fault("unavailable", { message, facts: { code }, cause });
}
