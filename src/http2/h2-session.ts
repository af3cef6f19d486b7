/**
 * An H2Connection on a socket: reads, writes all of a turn at once and heeds the socket's back-pressure.
 *
 * It is the boundary of its connection: whatever a handler of the socket's events throws ends the connection with
 * INTERNAL_ERROR and one log line; whatever a stream's server throws ends the stream.
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import { LoopTurns } from "../lib/time/loop-turns.ts";
import { type WorkTurns, workTurns } from "../lib/time/work-turns.ts";
import { type MemoryBudget, UnsentBytes } from "../memory/mod.ts";
import { defaultH2Limits, H2Connection, type H2Host, type H2Limits } from "./h2-connection.ts";
import type { H2Stream } from "./h2-stream.ts";

/** Gathered while the socket takes nothing; a peer that makes us owe it more is cut off. */
const owedBytesMax = 1024 * 1024;
/** For the last bytes to leave once the connection is over. */
const lingerMs = 2000;

export interface H2SessionOptions {
  readonly clock: Clock;
  /** Shared by the sessions of a server. */
  readonly turns?: LoopTurns;
  readonly log: Logger;
  readonly limits?: H2Limits;
  /** Where what the socket has not taken yet is counted. */
  readonly memory?: MemoryBudget | undefined;
  /** The socket encrypts: bytes on their way exist three times. */
  readonly secure?: boolean;
  /** Serves a request. */
  readonly serve: (stream: H2Stream, headers: IncomingHttpHeaders) => void;
  /** The connection has requests under way, or has none. */
  readonly onBusy?: (busy: boolean) => void;
  readonly onClose: () => void;
}

export class H2Session implements H2Host {
  readonly connection: H2Connection;
  readonly #socket: Duplex;
  readonly #options: H2SessionOptions;
  #flushDue = false;
  #proceedDue = false;
  readonly #turns: LoopTurns;
  /** The turn of the event loop that brought the last chunk, and when it brought its first. */
  #turn = -1;
  #turnSinceMs = 0;
  readonly #work: WorkTurns;
  /** Arrived when there was no time for it. */
  #held: Buffer | undefined;
  #congested = false;
  #ending = false;
  #busy = false;
  #deadline: Timer | undefined;
  /** When it goes off; never later than what is due. */
  #deadlineMs = Infinity;
  readonly #unsent: UnsentBytes;

  constructor(socket: Duplex, options: H2SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.connection = new H2Connection(this, options.limits ?? defaultH2Limits, options.memory);
    this.#work = workTurns(options.clock);
    this.#turns = options.turns ?? new LoopTurns(options.clock);
    this.#unsent = new UnsentBytes({
      memory: options.memory,
      pending: () => socket.writableLength,
      gathered: () => this.connection.out.bytes,
      secure: options.secure === true,
      cut: () => socket.destroy(),
    });
    socket.on("data", (chunk: Buffer) => this.#guard(() => this.#onData(chunk)));
    socket.on("drain", () => this.#guard(() => this.#onDrain()));
    socket.on("end", () => this.#guard(() => this.#end()));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#onClose());
    this.wantsToSend();
  }

  /** Takes no new requests; ends once those under way have. */
  drain(): void {
    this.#guard(() => this.connection.drain());
  }

  // As host of the connection.

  onRequest(stream: H2Stream, headers: IncomingHttpHeaders): void {
    this.#options.serve(stream, headers);
  }

  onStreamFailed(reason: unknown): void {
    this.#options.log.error({ err: reason }, "a request failed, its stream is reset");
  }

  monotonicMs(): number {
    return this.#options.clock.monotonicMs();
  }

  wantsToSend(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    queueMicrotask(this.#onFlushDue);
  }

  close(): void {
    this.#end();
  }

  readonly #onFlushDue = (): void => this.#guard(this.#flush);

  readonly #flush = (): void => {
    this.#flushDue = false;
    this.#review();
    const { out } = this.connection;
    if (out.bytes === 0 || this.#socket.destroyed || this.#socket.writableEnded) return;
    if (this.#congested && !this.#ending) {
      if (out.bytes > owedBytesMax) this.#socket.destroy();
      else this.#unsent.update();
      return;
    }
    const chunks = out.take();
    const waiting = this.connection.takeSent();
    const sent = waiting.length === 0 ? undefined : this.#teller(waiting);
    let room = true;
    if (chunks.length > 1) this.#socket.cork();
    for (let at = 0; at < chunks.length; at++) {
      const told = at === chunks.length - 1 ? sent : undefined;
      room = this.#socket.write(chunks[at] as Uint8Array, told);
    }
    if (chunks.length > 1) this.#socket.uncork();
    this.#unsent.wrote(chunks);
    if (!room && !this.#congested) {
      this.#congested = true;
      this.connection.congested(true);
    }
    this.connection.flushed();
  };

  /**
   * For the last chunk of a write: when that has left, so has all before it. After an error the callbacks do not run:
   * the connection is over.
   */
  #teller(waiting: readonly (() => void)[]) {
    return (error?: Error | null): void => {
      if (error === undefined || error === null) {
        this.#guard(() => {
          for (const callback of waiting) callback();
        });
      }
    };
  }

  #onData(chunk: Buffer): void {
    if (this.#held !== undefined || !this.#work.mayBegin()) {
      this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
      if (!this.#proceedDue) this.#proceedLater();
      return;
    }
    const turn = this.#turns.number;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnSinceMs = this.monotonicMs();
    }
    this.#onTaken(this.connection.feed(chunk));
  }

  /** More arrived than a turn takes, in one chunk or in many: the socket waits, others have their turn. */
  #onTaken(all: boolean): void {
    this.#review();
    if (this.#proceedDue) return;
    const { turnMs } = this.#options.limits ?? defaultH2Limits;
    if (all && this.monotonicMs() - this.#turnSinceMs < turnMs) return;
    this.#proceedLater();
  }

  #proceedLater(): void {
    this.#proceedDue = true;
    this.#socket.pause();
    this.#work.wait(this.#proceed);
  }

  readonly #proceed = (): void => {
    this.#proceedDue = false;
    this.#turnSinceMs = this.monotonicMs();
    this.#guard(() => {
      const held = this.#held;
      this.#held = undefined;
      const all = held === undefined ? this.connection.proceed() : this.connection.feed(held);
      if (all) this.#socket.resume();
      this.#onTaken(all);
    });
  };

  /** After every change: tells whether there are requests, and sets the timer. */
  #review(): void {
    const busy = this.connection.streams > 0;
    if (busy !== this.#busy) {
      this.#busy = busy;
      this.#options.onBusy?.(busy);
    }
    this.#watch();
  }

  /** Sets the timer if something is due before it goes off; what became due later is seen when it does. */
  #watch(): void {
    const { dueMs } = this.connection;
    if (dueMs >= this.#deadlineMs) return;
    this.#deadline?.cancel();
    this.#deadlineMs = dueMs;
    const { clock } = this.#options;
    this.#deadline = clock.after(Math.max(0, dueMs - clock.monotonicMs()), this.#onDeadline);
  }

  readonly #onDeadline = (): void => {
    this.#deadlineMs = Infinity;
    this.#guard(() => {
      this.connection.expire();
      this.#watch();
    });
  };

  #onDrain(): void {
    this.#congested = false;
    this.#unsent.update();
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
    this.#deadline?.cancel();
    this.#deadlineMs = -Infinity;
    this.#guard(() => this.connection.hangUp());
    this.#unsent.close();
    this.#options.onClose();
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (reason) {
      this.#options.log.error({ err: reason }, "an HTTP/2 connection failed and is ended");
      this.#fail();
    }
  }

  /** Says INTERNAL_ERROR if that is still possible. */
  #fail(): void {
    try {
      this.connection.fail();
    } catch {
      // Its state is not to be trusted any more.
    }
    if (!this.#ending) this.#socket.destroy();
  }
}
