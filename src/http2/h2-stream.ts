/**
 * One request and its response on an HTTP/2 connection. The server of the stream sets the callbacks that it needs and
 * calls respond, write, end and reset. The request body is passed on as it arrives and is not kept.
 *
 * Output that lacks window waits here. Its writer bounds it: write() returns false above a mark, and onDrain says when
 * all of it has left. A writer that can wait for space checks writableBytes, and writes when whenWritable() calls back.
 * Waiting bytes are pinned in the memory budget. While memory is short, a stream whose bytes do not move is reset.
 */

import type { MemoryBudget, MemoryShare } from "../memory/mod.ts";
import type { FrameWriter } from "./frames/frame-writer.ts";
import { errorCode, windowMax } from "./frames/frames.ts";
import type { SendFlow, SendingStream } from "./send-flow.ts";

/** Waiting bytes above which write() returns false. */
const highWaterBytes = 64 * 1024;
const empty = new Uint8Array(0);

/** What a stream needs from its connection. */
export interface StreamHost {
  readonly writer: FrameWriter;
  readonly flow: SendFlow;
  readonly memory: MemoryBudget | undefined;
  /** Asks for a takeSent() once everything that the stream wrote is in the output buffer. */
  awaitSent(stream: H2Stream): void;
  /** The request is complete, or has no time limit. */
  requestDone(stream: H2Stream): void;
  /** The response is complete and waits for window. */
  awaitWindow(stream: H2Stream): void;
  /** Sends RST_STREAM while the client may still send `window` bytes. */
  resetReceiving(id: number, code: number, window: number): void;
  /** The response is sent and the stream closed. */
  responseSent(stream: H2Stream): void;
  /** The server reset the stream. */
  canceledByServer(stream: H2Stream): void;
  /**
   * Resets the stream for a mistake of the client.
   * @throws ConnectionError if there were too many
   */
  endForMistake(stream: H2Stream, code: number): void;
  /** A callback of the stream's server threw `reason`. */
  streamFailed(stream: H2Stream, reason: unknown): void;
}

export class H2Stream implements SendingStream {
  readonly id: number;
  /** A piece of the request body. Its memory is the caller's to keep. */
  onData: ((chunk: Uint8Array) => void) | undefined;
  /** The request is complete. */
  onEnd: (() => void) | undefined;
  /** All output has left, after write() returned false. */
  onDrain: (() => void) | undefined;
  /** The request took too long. The server should respond so. Without this callback the stream is reset. */
  onTimeout: (() => void) | undefined;
  /** The stream is closed for any reason. It is the last callback. */
  onClose: (() => void) | undefined;
  headersSent = false;
  /** Set by a server for which this request is little work. One turn begins more of these (limits/read-turn.ts). */
  isLight = false;
  /** Both sides have ended, or the stream was reset. */
  closed = false;
  /** When the request arrived, monotonic milliseconds. */
  readonly openedMs: number;
  /** The turn of the connection in which it arrived. */
  readonly openedTurn: number;
  /** Window granted by WINDOW_UPDATE of this stream, less what was sent. */
  granted = 0;
  /** True while the client may send more of the request. */
  receiving = true;
  readonly #host: StreamHost;
  #receiveWindow: number;
  readonly #receiveWindowMax: number;
  /** Received since the last window update, bytes. */
  #ungranted = 0;
  #isPaused = false;
  /** Body bytes that content-length announces and that have not arrived. */
  #expectedBytes: number | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isEnded = false;
  #trailers: Uint8Array | undefined;
  #endSent = false;
  #wantsDrain = false;
  #onSent: (() => void) | undefined;
  #onWritable: (() => void) | undefined;
  /** The first entries of #waiting, which are pinned in the budget. */
  #pinned = 0;
  #share: MemoryShare | undefined;

  constructor(
    host: StreamHost,
    id: number,
    openedTurn: number,
    openedMs: number,
    receiveWindow: number,
    contentLength: number | undefined,
  ) {
    this.#host = host;
    this.id = id;
    this.openedTurn = openedTurn;
    this.openedMs = openedMs;
    this.#receiveWindow = receiveWindow;
    this.#receiveWindowMax = receiveWindow;
    this.#expectedBytes = contentLength;
  }

  // For the server of the stream.

  /** Sends the response headers, a block of encodeBlock(). */
  respond(block: Uint8Array): void {
    if (this.closed || this.headersSent) return;
    this.headersSent = true;
    this.#host.writer.headers(this.id, block, false);
  }

  /** Sends an informational response such as 100 Continue, a block of encodeBlock(). */
  respondInformational(block: Uint8Array): void {
    if (!this.closed && !this.headersSent) this.#host.writer.headers(this.id, block, false);
  }

  /**
   * Sends a piece of the response body. `bytes` must not change until they have left. Returns false if the writer
   * should wait for onDrain.
   */
  write(bytes: Uint8Array): boolean {
    if (this.closed || this.#isEnded) return true;
    if (bytes.length > 0) {
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
      this.flush();
    }
    this.#wantsDrain = this.#waitingBytes > highWaterBytes;
    return !this.#wantsDrain;
  }

  /**
   * Calls back once when everything written so far was passed to the operating system, but not if the stream closes
   * before. It must be called in the same turn as a write() of at least one byte.
   */
  whenSent(callback: () => void): void {
    if (this.closed) return;
    this.#onSent = callback;
    this.#host.awaitSent(this);
  }

  /** The memory budget in which the bytes of the stream are counted. */
  get memory(): MemoryBudget | undefined {
    return this.#host.memory;
  }

  /** How many bytes can leave at once: limited by both windows, the socket and what waits already. */
  get writableBytes(): number {
    if (this.closed || this.#waiting.length > 0) return 0;
    return this.#host.flow.writableBytes(this.sendWindow);
  }

  /**
   * Calls back once when writableBytes is above 0 again, but not if the stream closes before. It must be called while
   * writableBytes is 0.
   */
  whenWritable(callback: () => void): void {
    if (this.closed) return;
    this.#onWritable = callback;
    this.#host.flow.wait(this, this.sendWindow <= 0);
  }

  /** Ends the response. `trailers` is a block of encodeBlock(). */
  end(trailers?: Uint8Array): void {
    if (this.closed || this.#isEnded) return;
    this.#isEnded = true;
    this.#trailers = trailers;
    this.flush();
    if (!this.closed && !this.#endSent) this.#host.awaitWindow(this);
  }

  /** Lifts the time limit of the request. */
  allowLongRequest(): void {
    this.#host.requestDone(this);
  }

  /** Cancels the stream with a code of RFC 9113 §7. */
  reset(code: number): void {
    if (this.closed) return;
    this.resetAndClose(code);
    this.#host.canceledByServer(this);
  }

  /** Stops granting window: the client can send only what it was granted before. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#grant();
  }

  // For the connection.

  /** Takes a piece of the request body. `windowBytes` is its size with padding. */
  receive(body: Uint8Array, windowBytes: number, end: boolean): void {
    if (!this.receiving) {
      this.#host.endForMistake(this, errorCode.streamClosed);
      return;
    }
    this.#receiveWindow -= windowBytes;
    if (this.#receiveWindow < 0) {
      this.#host.endForMistake(this, errorCode.flowControl);
      return;
    }
    this.#ungranted += windowBytes;
    if (this.#expectedBytes !== undefined) {
      this.#expectedBytes -= body.length;
      if (this.#expectedBytes < 0 || (end && this.#expectedBytes > 0)) {
        this.#host.endForMistake(this, errorCode.protocol);
        return;
      }
    }
    if (end) {
      this.receiving = false;
      this.#host.requestDone(this);
    }
    try {
      if (body.length > 0) this.onData?.(body);
      if (end && !this.closed) this.onEnd?.();
    } catch (reason) {
      this.#host.streamFailed(this, reason);
    }
    if (this.closed) return;
    if (end) this.#closeIfDone();
    else this.#grant();
  }

  /** The callback of whenSent(), if everything that was written is in the output buffer now. */
  takeSent(): (() => void) | undefined {
    if (this.#waiting.length > 0) return undefined;
    const callback = this.#onSent;
    this.#onSent = undefined;
    return callback;
  }

  /** Calls onTimeout. Returns false if it was called before or is not set, or if the request is complete. */
  timeOut(): boolean {
    const { onTimeout } = this;
    this.onTimeout = undefined;
    if (onTimeout === undefined || !this.receiving) return false;
    try {
      onTimeout();
    } catch (reason) {
      this.#host.streamFailed(this, reason);
    }
    return true;
  }

  /** Takes a WINDOW_UPDATE. Returns false if the window exceeds the largest one. */
  grow(bytes: number): boolean {
    this.granted += bytes;
    return this.sendWindow <= windowMax;
  }

  /** What this stream may send, bytes. Negative if SETTINGS took more away than was left. */
  get sendWindow(): number {
    return this.#host.flow.initialStreamWindow + this.granted;
  }

  /** Sends what waits, as far as the windows allow. */
  flush(): void {
    if (this.closed) return;
    const { flow } = this.#host;
    while (this.#waiting.length > 0) {
      const head = this.#waiting[0] as Uint8Array;
      const { sendWindow } = this;
      const bytes = flow.take(head.length, sendWindow);
      if (bytes === 0) {
        flow.wait(this, sendWindow <= 0);
        this.#pinWaiting();
        return;
      }
      this.granted -= bytes;
      this.#waitingBytes -= bytes;
      this.#share?.progress(bytes);
      const isWhole = bytes === head.length;
      if (isWhole) this.#shift(head);
      else this.#waiting[0] = head.subarray(bytes);
      const isLast = this.#isEnded && this.#trailers === undefined && this.#waiting.length === 0;
      flow.send(this.id, isWhole ? head : head.subarray(0, bytes), isLast);
      if (isLast) this.#onEndSent();
    }
    if (this.closed) return;
    this.#share?.attribute(0);
    if (this.#isEnded) this.#sendEnd();
    else if (this.#wantsDrain) this.#notifyDrained();
    this.#notifyWritable();
  }

  #notifyDrained(): void {
    this.#wantsDrain = false;
    try {
      this.onDrain?.();
    } catch (reason) {
      this.#host.streamFailed(this, reason);
    }
  }

  #notifyWritable(): void {
    if (this.#onWritable === undefined || this.closed) return;
    if (this.writableBytes === 0) {
      this.#host.flow.wait(this, this.sendWindow <= 0);
      return;
    }
    const callback = this.#onWritable;
    this.#onWritable = undefined;
    callback();
  }

  /** Counts what waits in the budget. A buffer that waits in several streams counts once. */
  #pinWaiting(): void {
    const { memory } = this;
    if (memory === undefined) return;
    this.#share ??= memory.share("out", () => this.reset(errorCode.enhanceYourCalm));
    for (; this.#pinned < this.#waiting.length; this.#pinned++) {
      memory.pin((this.#waiting[this.#pinned] as Uint8Array).buffer);
    }
    this.#share.attribute(this.#waitingBytes);
  }

  #shift(head: Uint8Array): void {
    this.#waiting.shift();
    if (this.#pinned === 0) return;
    this.#pinned--;
    this.memory?.unpin(head.buffer);
  }

  #dropWaiting(): void {
    const { memory } = this;
    for (let at = 0; at < this.#pinned; at++) memory?.unpin((this.#waiting[at] as Uint8Array).buffer);
    this.#pinned = 0;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#share?.attribute(0);
  }

  /** Sends RST_STREAM and closes the stream. */
  resetAndClose(code: number): void {
    this.#sendReset(code);
    this.close();
  }

  /** Closes the stream. It sends nothing; only the stream's server is notified. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#dropWaiting();
    const { onClose } = this;
    this.onData = this.onEnd = this.onDrain = this.onTimeout = this.onClose = undefined;
    this.#onSent = this.#onWritable = undefined;
    try {
      onClose?.();
    } catch (reason) {
      this.#host.streamFailed(this, reason);
    }
  }

  #sendEnd(): void {
    if (this.#endSent) return;
    if (this.#trailers !== undefined) this.#host.writer.headers(this.id, this.#trailers, true);
    else this.#host.flow.send(this.id, empty, true);
    this.#onEndSent();
  }

  #onEndSent(): void {
    this.#endSent = true;
    this.#closeIfDone();
  }

  /** A response that is complete before its request asks the client to stop (RFC 9113 §8.1). */
  #closeIfDone(): void {
    if (!this.#endSent || this.closed) return;
    if (this.receiving) this.#sendReset(errorCode.none);
    this.close();
    this.#host.responseSent(this);
  }

  #sendReset(code: number): void {
    if (!this.receiving) this.#host.writer.reset(this.id, code);
    else this.#host.resetReceiving(this.id, code, Math.max(0, this.#receiveWindow));
  }

  /** Grants the client what it has used, once that is half of the window. */
  #grant(): void {
    if (this.#isPaused || this.closed || !this.receiving) return;
    if (this.#ungranted < this.#receiveWindowMax / 2) return;
    this.#receiveWindow += this.#ungranted;
    this.#host.writer.windowUpdate(this.id, this.#ungranted);
    this.#ungranted = 0;
  }
}
