/**
 * Serves the requests of an HTTP/1.1 connection that the fast path takes, directly on the socket. The first request that is
 * unusual (request-head.ts), or that the fast path leaves to the other routes, passes the connection on to Node's parser,
 * with all bytes from that request on. It is not taken back.
 *
 *   head incomplete → body incomplete → response → (next request)       handed over: after the responses before it
 *
 * Appends that arrive together are served at the same time, and answered in their order (RFC 9112 §9.3.2). Every other
 * request runs alone, as in http1-request-order.ts: it stays unread until its turn.
 */
import type { Socket } from "node:net";
import { isAppendRequest } from "../../../api/mod.ts";
import { guarded } from "../../../lib/boundary.ts";
import { type WorkTurns, workTurns } from "../../../lib/time/work-turns.ts";
import { UnsentBytes } from "../../../memory/mod.ts";
import { http1Bytes } from "../../connections/refusal.ts";
import { sendAndClose } from "../../connections/send-and-close.ts";
import { halfClosedRefusal, parserRefusal } from "../http1-refusals.ts";
import { waitingMaxBusy, waitingMaxDefault } from "../http1-request-order.ts";
import { GatheredOutput } from "./gathered-output.ts";
import type { Http1ConnectionOptions } from "./http1-connection-options.ts";
import { Http1Stream, type StreamConnection } from "./http1-stream.ts";
import { type RequestHead, RequestHeads } from "./request-head.ts";
import { TimeLimit } from "./time-limit.ts";
import { UnreadBytes } from "./unread-bytes.ts";

/** How long a head may be incomplete before Node's parser waits for the rest of it, with its own limit. */
const headMs = 1000;
/** How long the rest of a request whose response is complete may take. */
const lingerMs = 2000;
/** How long requests that have arrived may take once the client sends no more. */
const halfClosedMs = 10_000;
/** Requests are read for so long in one turn of the event loop. */
const readMs = 2;
/** The rest of a body up to this size is read to keep the connection. */
const keptBytesMax = 256 * 1024;

export class Http1Connection implements StreamConnection {
  readonly #socket: Socket;
  readonly #options: Http1ConnectionOptions;
  readonly #heads = new RequestHeads();
  readonly #work: WorkTurns;
  readonly #unsent: UnsentBytes;
  readonly #output: GatheredOutput;
  /** Requests without a complete response, in their order. */
  readonly #streams: Http1Stream[] = [];
  /** The stream whose body is not complete. */
  #receiving: Http1Stream | undefined;
  /** Unread bytes: an incomplete head, or what arrived while this connection had to wait. */
  readonly #unread: UnreadBytes;
  /** The requests of `#streams` are appends. */
  #isAppending = false;
  /** Reading waits for the event loop, or for a response (`#isFull`). */
  #isWaiting = false;
  #isFull = false;
  #isBusy = false;
  #isHandingOver = false;
  /** No further request is read. */
  #isLast = false;
  /** The client sends no more. */
  #isHalfClosed = false;
  #isDone = false;
  readonly #time: TimeLimit;

  constructor(socket: Socket, options: Http1ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#work = workTurns(options.clock);
    this.#time = new TimeLimit(options.clock, () => this.#guard(() => this.#expire()));
    this.#unread = new UnreadBytes(options.memory, () => socket.destroy());
    this.#unsent = new UnsentBytes({
      memory: options.memory,
      pending: () => socket.writableLength,
      secure: options.client.secure,
      end: () => socket.destroy(),
    });
    this.#output = new GatheredOutput(socket, (pieces) => this.#guard(() => this.#unsent.wrote(pieces)));
    socket.on("data", this.#onData);
    socket.on("drain", this.#onDrain);
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    this.#awaitFor(options.limits.idleMs);
  }

  /** Takes no new requests. The connection ends with its last response. */
  drain(): void {
    this.#isLast = true;
    if (this.#streams.length === 0) this.#endSoon();
  }

  // StreamConnection.

  headEnd(stream: Http1Stream, isChunked: boolean): Uint8Array {
    if (stream.rest > keptBytesMax) this.#isLast = true;
    return this.#options.ends.of(isChunked, this.#isLast && stream === this.#streams.at(-1));
  }

  send(stream: Http1Stream): void {
    if (stream !== this.#streams[0] || stream.pieces.length === 0) return;
    const { pieces, onSent } = stream;
    stream.pieces = [];
    stream.onSent = undefined;
    this.#output.add(pieces, onSent, this.#streams.length > 1);
  }

  writableBytes(stream: Http1Stream): number {
    if (stream !== this.#streams[0]) return 0;
    const { writableNeedDrain, writableHighWaterMark, writableLength } = this.#socket;
    return writableNeedDrain ? 0 : Math.max(1, writableHighWaterMark - writableLength - this.#output.bytes);
  }

  ended(stream: Http1Stream): void {
    if (stream !== this.#streams[0]) return;
    this.#shiftEnded();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isWaiting && !this.#isHandingOver) this.#socket.resume();
  }

  // Input.

  readonly #onData = (chunk: Buffer): void =>
    this.#guard(() => {
      const bytes = this.#unread.takeWith(chunk);
      if (this.#isWaiting || this.#isHandingOver) this.#unread.keep(bytes);
      else if (this.#work.mayBegin()) this.#read(bytes);
      else this.#readLater(bytes);
    });

  /** Reads when the event loop has time for it, or when `ready` has resolved. */
  #readLater(bytes: Buffer, ready?: Promise<void>): void {
    this.#wait(bytes, false);
    const proceed = (): void => this.#guard(() => this.#proceed());
    if (ready === undefined) this.#work.wait(proceed);
    else {
      this.#awaitFor(this.#options.limits.requestMs);
      void ready.then(proceed);
    }
  }

  #wait(bytes: Buffer, isFull: boolean): void {
    this.#unread.keep(bytes);
    this.#isWaiting = true;
    this.#isFull = isFull;
    this.#socket.pause();
  }

  #proceed(): void {
    if (!this.#isWaiting || this.#isDone) return;
    this.#isWaiting = false;
    this.#socket.resume();
    this.#read(this.#unread.take());
    if (this.#isHalfClosed && !this.#isWaiting) this.#cutIncomplete();
  }

  /** A response has ended for which reading waited. */
  #proceedIfFull(): void {
    if (this.#isFull) this.#readLater(this.#unread.take());
  }

  #read(bytes: Buffer): void {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + readMs;
    let at = 0;
    while (at < bytes.length && !this.#isDone) {
      if (this.#receiving !== undefined) {
        at = this.#receive(this.#receiving, bytes, at);
        continue;
      }
      if (this.#isLast) return;
      if (at > 0 && clock.monotonicMs() >= untilMs) {
        this.#readLater(bytes.subarray(at));
        return;
      }
      const head = this.#heads.read(bytes, at);
      if (head === "incomplete") {
        this.#unread.keep(bytes.subarray(at));
        if (this.#time.limitMs !== headMs) this.#awaitFor(headMs);
        return;
      }
      if (head !== "unusual" && this.#isLater(head, bytes.subarray(at))) return;
      if (head === "unusual" || !this.#begin(head)) {
        this.#handOver(bytes.subarray(at));
        return;
      }
      at += head.bytes;
    }
  }

  /** Returns whether the request is read again later: after those before it, or when it is known what its token is worth. */
  #isLater(head: RequestHead, unread: Buffer): boolean {
    if (this.#mustWait(head)) {
      this.#wait(unread, true);
      return true;
    }
    const { router, client } = this.#options;
    const ready = router.prepare(head.headers, client);
    if (ready !== undefined) this.#readLater(unread, ready);
    return ready !== undefined;
  }

  /** Returns whether the requests before this one must be answered first. */
  #mustWait({ headers }: RequestHead): boolean {
    const isAppend = isAppendRequest("POST", headers[":path"] as string);
    if (this.#streams.length === 0) {
      this.#isAppending = isAppend;
      return false;
    }
    const max = this.#options.memory?.busy === true ? waitingMaxBusy : waitingMaxDefault;
    return !isAppend || !this.#isAppending || this.#streams.length >= max;
  }

  /** Returns false if the fast path does not serve the request. */
  #begin({ headers, contentLength }: RequestHead): boolean {
    const { router, client, activity, limits } = this.#options;
    const stream = new Http1Stream(this, contentLength);
    this.#streams.push(stream);
    this.#receiving = stream;
    if (!this.#isBusy) activity.busy();
    this.#isBusy = true;
    this.#awaitFor(limits.requestMs);
    if (router.direct(stream, headers, client)) {
      if (contentLength === 0) this.#received(stream);
      return true;
    }
    this.#streams.pop();
    this.#receiving = undefined;
    if (this.#streams.length === 0) this.#setIdle();
    return false;
  }

  #receive(stream: Http1Stream, bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + stream.rest);
    stream.rest -= end - at;
    stream.onData?.(bytes.subarray(at, end));
    if (stream.rest === 0) this.#received(stream);
    return end;
  }

  /** The body of a request is complete. */
  #received(stream: Http1Stream): void {
    this.#receiving = undefined;
    stream.onEnd?.();
    this.#awaitFor(this.#options.limits.idleMs);
    this.#shiftEnded();
  }

  /** Removes the requests that are complete, with their responses, and goes on with the next one. */
  #shiftEnded(): void {
    for (let [first] = this.#streams; first?.isEnded === true; [first] = this.#streams) {
      this.send(first);
      if (first.rest > 0) {
        // A connection with unread bytes cannot serve another request.
        this.#awaitFor(lingerMs);
        return;
      }
      this.#streams.shift();
      first.close();
      const [next] = this.#streams;
      if (next !== undefined) this.#guard(() => next.drained());
      if (next !== undefined && next.isEnded === false) this.send(next);
    }
    if (this.#streams.length === 0) this.#idle();
    else this.#proceedIfFull();
  }

  #idle(): void {
    if (this.#isDone) return;
    this.#setIdle();
    if (this.#isHandingOver && this.#isHalfClosed) this.#handOver(this.#unread.take());
    else if (this.#isLast) {
      this.#time.begin(this.#options.limits.idleMs);
      this.#endSoon();
    } else if (this.#isHandingOver) this.#handOver(this.#unread.take());
    else if (this.#isFull) this.#proceedIfFull();
    // The time of an incomplete head runs from its first byte.
    else if (this.#unread.length === 0) this.#awaitFor(this.#options.limits.idleMs);
  }

  #endSoon(): void {
    this.#output.flush();
    this.#socket.destroySoon();
  }

  #setIdle(): void {
    if (this.#isBusy) this.#options.activity.idle();
    this.#isBusy = false;
  }

  /** Passes the connection on, once the responses have been sent. */
  #handOver(bytes: Buffer): void {
    this.#unread.keep(bytes);
    this.#isHandingOver = true;
    this.#socket.pause();
    if (this.#streams.length > 0) return;
    this.#output.flush();
    if (this.#isHalfClosed) {
      // Node's parser would not learn of the end.
      this.#isHandingOver = false;
      sendAndClose(this.#socket, http1Bytes(halfClosedRefusal), this.#options.clock);
      return;
    }
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("drain", this.#onDrain);
    socket.off("end", this.#onEnd);
    socket.off("close", this.#onClose);
    const unread = this.#unread.take();
    this.#done();
    socket.unshift(unread);
    this.#options.handOver();
    // Node reads a socket that was paused only when it is resumed.
    socket.resume();
  }

  // Time limits.

  #awaitFor(limitMs: number): void {
    if (this.#isHalfClosed && limitMs !== halfClosedMs) return;
    this.#time.begin(limitMs);
  }

  #expire(): void {
    const receiving = this.#receiving;
    if (this.#isHalfClosed) this.#socket.destroy();
    else if (receiving !== undefined && !receiving.headersSent && receiving === this.#streams[0])
      this.#timeOut();
    else if (receiving !== undefined) this.#socket.destroy();
    else if (this.#unread.length > 0 && !this.#isWaiting) this.#handOver(this.#unread.take());
    else if (this.#streams.length === 0) this.#socket.destroy();
    else this.#awaitFor(this.#options.limits.idleMs);
  }

  /** The body of the only request came too slowly. */
  #timeOut(): void {
    this.#isLast = true;
    for (const stream of this.#streams.splice(0)) stream.close();
    this.#output.flush();
    sendAndClose(this.#socket, http1Bytes(parserRefusal("ERR_HTTP_REQUEST_TIMEOUT")), this.#options.clock);
  }

  // The end.

  readonly #onDrain = (): void =>
    this.#guard(() => {
      this.#unsent.update();
      this.#streams[0]?.drained();
    });

  /** The client sends no more. Requests that have arrived are answered. */
  readonly #onEnd = (): void =>
    this.#guard(() => {
      this.#isHalfClosed = true;
      this.#awaitFor(halfClosedMs);
      if (!this.#isWaiting) this.#cutIncomplete();
    });

  /**
   * All that the client has sent is read. Drops what cannot be answered: a request without its end, and one whose response
   * is a stream, because the client has probably disconnected.
   */
  #cutIncomplete(): void {
    this.#isLast = true;
    if (this.#receiving?.isEnded === true) this.#receiving.rest = 0;
    this.#receiving = undefined;
    const at = this.#streams.findIndex((stream) => stream.rest > 0 || stream.isOpenStream);
    if (at >= 0) for (const stream of this.#streams.splice(at)) stream.close();
    this.#shiftEnded();
  }

  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#done();
    for (const stream of this.#streams.splice(0)) this.#guard(() => stream.close());
  };

  #done(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#time.close();
    this.#unsent.close();
    this.#unread.take();
    this.#options.onDone();
  }

  #guard(work: () => void): void {
    guarded(this.#socket, this.#options.log, "an HTTP/1.1 connection failed and is ended", work);
  }
}
