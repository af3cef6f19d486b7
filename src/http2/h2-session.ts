/**
 * Runs an H2Connection on a socket: reads, writes what a turn has gathered at once, follows the socket's back-pressure
 * and sets the timer of the connection's time limits.
 *
 * It is the error boundary of its connection. What a handler of socket events throws ends the connection with
 * INTERNAL_ERROR and one log line. What the server of a stream throws ends that stream.
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import { TurnCounter } from "../lib/time/turn-counter.ts";
import { type WorkTurns, workTurns } from "../lib/time/work-turns.ts";
import { type MemoryBudget, UnsentBytes } from "../memory/mod.ts";
import { H2Connection } from "./h2-connection.ts";
import type { H2Host } from "./h2-host.ts";
import type { H2Stream } from "./h2-stream.ts";
import { defaultH2Limits, type H2Limits } from "./limits/h2-limits.ts";

/** Bytes that may wait while the socket takes nothing. A client that causes more is disconnected. */
const congestedBytesMax = 1024 * 1024;
/** How long the last bytes may take to leave after the connection has ended. */
const lingerMs = 2000;

export interface H2SessionOptions {
  readonly clock: Clock;
  /** Counts turns of the event loop; the sessions of a server share one. Default: its own. */
  readonly turns?: TurnCounter;
  readonly log: Logger;
  /** Default defaultH2Limits. */
  readonly limits?: H2Limits;
  /** Counts bytes that the client has not taken yet. Default: they are not counted. */
  readonly memory?: MemoryBudget | undefined;
  /** The socket encrypts, so bytes on their way exist three times. Default false. */
  readonly secure?: boolean;
  /** Serves a request. */
  readonly serve: (stream: H2Stream, headers: IncomingHttpHeaders) => void;
  /** Called with true when the first stream opens, and with false when none is open any more. */
  readonly onBusy?: (busy: boolean) => void;
  readonly onClose: () => void;
}

export class H2Session implements H2Host {
  readonly connection: H2Connection;
  readonly #socket: Duplex;
  readonly #options: H2SessionOptions;
  #isFlushDue = false;
  #isProceedDue = false;
  readonly #turns: TurnCounter;
  /** The turn of the event loop that brought the last chunk, and when it brought its first chunk. */
  #turn = -1;
  #turnSinceMs = 0;
  readonly #work: WorkTurns;
  /** Input that arrived when the event loop had no time for it. */
  #deferred: Buffer | undefined;
  #isCongested = false;
  #isEnding = false;
  #isBusy = false;
  #timer: Timer | undefined;
  /** When #timer fires. It is never later than connection.dueMs. */
  #timerMs = Infinity;
  readonly #unsent: UnsentBytes;

  constructor(socket: Duplex, options: H2SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.connection = new H2Connection(this, options.limits ?? defaultH2Limits, options.memory);
    this.#work = workTurns(options.clock);
    this.#turns = options.turns ?? new TurnCounter(options.clock);
    this.#unsent = new UnsentBytes({
      memory: options.memory,
      pending: () => socket.writableLength,
      gathered: () => this.connection.out.bytes,
      secure: options.secure === true,
      end: () => socket.destroy(),
    });
    socket.on("data", (chunk: Buffer) => this.#guard(() => this.#onData(chunk)));
    socket.on("drain", () => this.#guard(() => this.#onDrain()));
    socket.on("end", () => this.#guard(() => this.#end()));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#onClose());
    this.onOutput();
  }

  /** Takes no new requests, and ends the connection once the open streams have ended. */
  drain(): void {
    this.#guard(() => this.connection.drain());
  }

  // H2Host.

  onRequest(stream: H2Stream, headers: IncomingHttpHeaders): void {
    this.#options.serve(stream, headers);
  }

  onStreamFailed(reason: unknown): void {
    this.#options.log.error({ err: reason }, "a request failed, its stream is reset");
  }

  monotonicMs(): number {
    return this.#options.clock.monotonicMs();
  }

  onOutput(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(this.#onFlushDue);
  }

  close(): void {
    this.#end();
  }

  // Output.

  readonly #onFlushDue = (): void => this.#guard(this.#flush);

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    this.#update();
    const { out } = this.connection;
    if (out.bytes === 0 || this.#socket.destroyed || this.#socket.writableEnded) return;
    if (this.#isCongested && !this.#isEnding) {
      if (out.bytes > congestedBytesMax) this.#socket.destroy();
      else this.#unsent.update();
      return;
    }
    const chunks = out.take();
    const callbacks = this.connection.takeSent();
    const onSent = callbacks.length === 0 ? undefined : this.#runAll(callbacks);
    let hasSpace = true;
    if (chunks.length > 1) this.#socket.cork();
    for (let at = 0; at < chunks.length; at++) {
      const onWritten = at === chunks.length - 1 ? onSent : undefined;
      hasSpace = this.#socket.write(chunks[at] as Uint8Array, onWritten);
    }
    if (chunks.length > 1) this.#socket.uncork();
    this.#unsent.wrote(chunks);
    if (!hasSpace && !this.#isCongested) {
      this.#isCongested = true;
      this.connection.congested(true);
    }
    this.connection.flushed();
  };

  /**
   * Returns the callback for the last chunk of a write: when that chunk has left, all before it have. After an error
   * the callbacks do not run, because the connection is over.
   */
  #runAll(callbacks: readonly (() => void)[]) {
    return (error?: Error | null): void => {
      if (error === undefined || error === null) {
        this.#guard(() => {
          for (const callback of callbacks) callback();
        });
      }
    };
  }

  #onDrain(): void {
    this.#isCongested = false;
    this.#unsent.update();
    this.connection.congested(false);
    this.#flush();
  }

  // Input.

  #onData(chunk: Buffer): void {
    if (this.#deferred !== undefined || !this.#work.mayBegin()) {
      this.#deferred = this.#deferred === undefined ? chunk : Buffer.concat([this.#deferred, chunk]);
      if (!this.#isProceedDue) this.#proceedLater();
      return;
    }
    const turn = this.#turns.number;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnSinceMs = this.monotonicMs();
    }
    this.#onRead(this.connection.feed(chunk));
  }

  /** Pauses the socket if a turn took too long, or could not take everything, in one chunk or in several. */
  #onRead(isAllRead: boolean): void {
    this.#update();
    if (this.#isProceedDue) return;
    const { turnMs } = this.#options.limits ?? defaultH2Limits;
    if (isAllRead && this.monotonicMs() - this.#turnSinceMs < turnMs) return;
    this.#proceedLater();
  }

  #proceedLater(): void {
    this.#isProceedDue = true;
    this.#socket.pause();
    this.#work.wait(this.#proceed);
  }

  readonly #proceed = (): void => {
    this.#isProceedDue = false;
    this.#turnSinceMs = this.monotonicMs();
    this.#guard(() => {
      const deferred = this.#deferred;
      this.#deferred = undefined;
      const isAllRead = deferred === undefined ? this.connection.proceed() : this.connection.feed(deferred);
      if (isAllRead) this.#socket.resume();
      this.#onRead(isAllRead);
    });
  };

  // Time limits.

  /** Called after every change: reports whether streams are open, and sets the timer. */
  #update(): void {
    const isBusy = this.connection.streams > 0;
    if (isBusy !== this.#isBusy) {
      this.#isBusy = isBusy;
      this.#options.onBusy?.(isBusy);
    }
    this.#setTimer();
  }

  /** Sets the timer if something is due before it fires. If the due time has moved back, the timer finds out. */
  #setTimer(): void {
    const { dueMs } = this.connection;
    if (dueMs >= this.#timerMs) return;
    this.#timer?.cancel();
    this.#timerMs = dueMs;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(0, dueMs - clock.monotonicMs()), this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timerMs = Infinity;
    this.#guard(() => {
      this.connection.expire();
      this.#setTimer();
    });
  };

  // The end.

  #end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#flush();
    this.connection.disconnected();
    this.#socket.end();
    const linger = this.#options.clock.after(lingerMs, () => this.#socket.destroy());
    this.#socket.once("close", () => linger.cancel());
  }

  #onClose(): void {
    this.#timer?.cancel();
    this.#timerMs = -Infinity;
    this.#guard(() => this.connection.disconnected());
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

  /** Sends INTERNAL_ERROR if that is still possible. */
  #fail(): void {
    try {
      this.connection.fail();
    } catch {
      // The state of the connection is broken; only the socket can be ended.
    }
    if (!this.#isEnding) this.#socket.destroy();
  }
}
