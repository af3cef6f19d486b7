/**
 * One request and its answer on an H2Connection. The server of the stream sets the callbacks it needs and speaks
 * through respond, write, end and reset; nothing of the request is kept here, it is handed on as it arrives.
 *
 * What cannot be sent for want of window waits here, bounded by its writer: write() answers false from a mark on, and
 * onDrain says when it has gone out. A writer that can wait asks for `room` first and writes when whenRoom() calls
 * back. Waiting bytes are pinned in the memory budget; while that is short, a stream whose bytes do not move is reset.
 *
 * Never: interprets a body.
 */

import type { MemoryBudget, MemoryShare } from "../memory/mod.ts";
import { errorCode, windowMax } from "./frames/frames.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { H2Connection } from "./h2-connection.ts";

/** Waiting bytes from which on write() asks its writer to pause. */
const highWaterBytes = 64 * 1024;

export class H2Stream {
  readonly id: number;
  /** Bytes of the request's body; the memory is the caller's to keep. */
  onData: ((chunk: Uint8Array) => void) | undefined;
  /** The request is complete. */
  onEnd: (() => void) | undefined;
  /** Everything written has gone out, after write() answered false. */
  onDrain: (() => void) | undefined;
  /** The request took too long: its server should answer so. Without it the stream is cut. */
  onLate: (() => void) | undefined;
  /** The stream is over, in whatever way; nothing follows. */
  onClose: (() => void) | undefined;
  headersSent = false;
  /** Set by a server to which the request is little work: a turn of the connection begins more of these. */
  isLight = false;
  /** Over on both sides, or cut. */
  closed = false;
  /** When its request came: monotonic, and the turn of the connection. */
  readonly openedMs: number;
  readonly openedTurn: number;
  readonly #connection: H2Connection;
  /** Granted by window updates, less what was sent: what the connection grants every stream comes on top. */
  granted = 0;
  #receiveWindow: number;
  readonly #receiveWindowMax: number;
  #ungranted = 0;
  #paused = false;
  #expected: number | undefined;
  /** The client may still send. */
  receiving = true;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #ended = false;
  #trailers: Uint8Array | undefined;
  #wantsDrain = false;
  #onSent: (() => void) | undefined;
  #onRoom: (() => void) | undefined;
  /** Entries of #waiting, from the first on, that are pinned in the budget. */
  #pinned = 0;
  #share: MemoryShare | undefined;

  constructor(
    connection: H2Connection,
    id: number,
    openedTurn: number,
    openedMs: number,
    receiveWindow: number,
    contentLength: number | undefined,
  ) {
    this.#connection = connection;
    this.id = id;
    this.openedTurn = openedTurn;
    this.openedMs = openedMs;
    this.#receiveWindow = receiveWindow;
    this.#receiveWindowMax = receiveWindow;
    this.#expected = contentLength;
  }

  // What the server of the stream does.

  /** Sends the answer's headers, as a block of encodeBlock(). */
  respond(block: Uint8Array): void {
    if (this.closed || this.headersSent) return;
    this.headersSent = true;
    this.#connection.sendHeaders(this.id, block, false);
  }

  /** Sends an informational response, such as 100 Continue, as a block of encodeBlock(). */
  inform(block: Uint8Array): void {
    if (!this.closed && !this.headersSent) this.#connection.sendHeaders(this.id, block, false);
  }

  /** Sends a piece of the answer's body, which must not change until it is gone. False: wait for onDrain. */
  write(bytes: Uint8Array): boolean {
    if (this.closed || this.#ended) return true;
    if (bytes.length > 0) {
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
      this.flush();
    }
    this.#wantsDrain = this.#waitingBytes > highWaterBytes;
    return !this.#wantsDrain;
  }

  /**
   * Calls back once when all that was written so far has left for the operating system; never when the stream is over
   * before. To be asked in the turn of a write() of at least a byte.
   */
  whenSent(callback: () => void): void {
    if (this.closed) return;
    this.#onSent = callback;
    this.#connection.awaitSent(this);
  }

  /** Where the bytes of the stream are counted. */
  get memory(): MemoryBudget | undefined {
    return this.#connection.memory;
  }

  /** Bytes that can leave at once: by both windows, the socket, and what is gathered or waits already. */
  get room(): number {
    if (this.closed || this.#waiting.length > 0) return 0;
    return this.#connection.room(this.sendWindow);
  }

  /** Calls back once when `room` is above 0 again; never when the stream is over before. To be asked when it is 0. */
  whenRoom(callback: () => void): void {
    if (this.closed) return;
    this.#onRoom = callback;
    this.#connection.block(this, this.sendWindow <= 0);
  }

  /** Ends the answer, with trailers when given. */
  end(trailers?: Uint8Array): void {
    if (this.closed || this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    this.flush();
    if (!this.closed && !this.#endSent) this.#connection.awaitWindow(this);
  }

  /** The request may take as long as it likes. */
  allowLongRequest(): void {
    this.#connection.requestDone(this);
  }

  /** Cuts the stream. */
  reset(code: number): void {
    if (this.closed) return;
    this.cutOff(code);
    this.#connection.abandoned(this);
  }

  /** Tells the client and the server of the stream that it is over. */
  cutOff(code: number): void {
    this.#cut(code);
    this.over();
  }

  /** Lets the client send no more than its window. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#grant();
  }

  // What the connection does.

  /** A piece of the request; `bytes` of window were spent on it. */
  receive(body: Uint8Array, bytes: number, end: boolean): void {
    if (!this.receiving) {
      this.#connection.endForMistake(this, errorCode.streamClosed);
      return;
    }
    this.#receiveWindow -= bytes;
    if (this.#receiveWindow < 0) {
      this.#connection.endForMistake(this, errorCode.flowControl);
      return;
    }
    this.#ungranted += bytes;
    if (this.#expected !== undefined) {
      this.#expected -= body.length;
      if (this.#expected < 0 || (end && this.#expected > 0)) {
        this.#connection.endForMistake(this, errorCode.protocol);
        return;
      }
    }
    if (end) {
      this.receiving = false;
      this.#connection.requestDone(this);
    }
    try {
      if (body.length > 0) this.onData?.(body);
      if (end && !this.closed) this.onEnd?.();
    } catch (reason) {
      this.#connection.streamFailed(this, reason);
    }
    if (this.closed) return;
    if (end) this.#closeIfDone();
    else this.#grant();
  }

  /** Who is to be told when what the connection holds now is sent; undefined while some of it waits for window. */
  takeSent(): (() => void) | undefined {
    if (this.#waiting.length > 0) return undefined;
    const callback = this.#onSent;
    this.#onSent = undefined;
    return callback;
  }

  /** The request is late. False when its server was told before, or does not want to know. */
  tellLate(): boolean {
    const { onLate } = this;
    this.onLate = undefined;
    if (onLate === undefined || !this.receiving) return false;
    try {
      onLate();
    } catch (reason) {
      this.#connection.streamFailed(this, reason);
    }
    return true;
  }

  /** More window to send in; false when that is more than there can be. */
  widen(bytes: number): boolean {
    this.granted += bytes;
    return this.sendWindow <= windowMax;
  }

  /** What this stream may send; negative when SETTINGS took away more than was left. */
  get sendWindow(): number {
    return this.#connection.initialSendWindow + this.granted;
  }

  /** Sends what waits, as far as the windows go. */
  flush(): void {
    if (this.closed) return;
    while (this.#waiting.length > 0) {
      const head = this.#waiting[0] as Uint8Array;
      const { sendWindow } = this;
      const bytes = this.#connection.spend(head.length, sendWindow);
      if (bytes === 0) {
        this.#connection.block(this, sendWindow <= 0);
        this.#pinWaiting();
        return;
      }
      this.granted -= bytes;
      this.#waitingBytes -= bytes;
      this.#share?.progress(bytes);
      const whole = bytes === head.length;
      if (whole) this.#shift(head);
      else this.#waiting[0] = head.subarray(bytes);
      const last = this.#ended && this.#trailers === undefined && this.#waiting.length === 0;
      this.#connection.sendData(this.id, whole ? head : head.subarray(0, bytes), last);
      if (last) this.#answered();
    }
    if (this.closed) return;
    this.#share?.attribute(0);
    if (this.#ended) this.#sendEnd();
    else if (this.#wantsDrain) {
      this.#wantsDrain = false;
      try {
        this.onDrain?.();
      } catch (reason) {
        this.#connection.streamFailed(this, reason);
      }
    }
    this.#tellRoom();
  }

  #tellRoom(): void {
    if (this.#onRoom === undefined || this.closed) return;
    if (this.room === 0) {
      this.#connection.block(this, this.sendWindow <= 0);
      return;
    }
    const callback = this.#onRoom;
    this.#onRoom = undefined;
    callback();
  }

  /** Counts what waits in the budget: buffers that other streams wait with as well count once. */
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

  /** The stream is over; nobody is told but its server. */
  over(): void {
    if (this.closed) return;
    this.closed = true;
    this.#dropWaiting();
    const { onClose } = this;
    this.onData = this.onEnd = this.onDrain = this.onLate = this.onClose = undefined;
    this.#onSent = this.#onRoom = undefined;
    try {
      onClose?.();
    } catch (reason) {
      this.#connection.streamFailed(this, reason);
    }
  }

  #endSent = false;

  #sendEnd(): void {
    if (this.#endSent) return;
    if (this.#trailers !== undefined) this.#connection.sendHeaders(this.id, this.#trailers, true);
    else this.#connection.sendData(this.id, empty, true);
    this.#answered();
  }

  #answered(): void {
    this.#endSent = true;
    this.#closeIfDone();
  }

  /** An answer that is complete before its request asks the client to stop (RFC 9113 §8.1). */
  #closeIfDone(): void {
    if (!this.#endSent || this.closed) return;
    if (this.receiving) this.#cut(errorCode.none);
    this.over();
    this.#connection.answered(this);
  }

  #cut(code: number): void {
    if (this.receiving) this.#connection.cut(this.id, code, Math.max(0, this.#receiveWindow));
    else this.#connection.sendReset(this.id, code);
  }

  #grant(): void {
    if (this.#paused || this.closed || !this.receiving || this.#ungranted < this.#receiveWindowMax / 2)
      return;
    this.#receiveWindow += this.#ungranted;
    this.#connection.grant(this.id, this.#ungranted);
    this.#ungranted = 0;
  }
}

const empty = new Uint8Array(0);
