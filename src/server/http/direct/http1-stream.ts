/**
 * One request and its response over HTTP/1.1, as the fast path uses them (FastStream). Its connection passes it the body
 * and sends its output, once the responses before it have been sent.
 *
 *   with a content-length   head, body                  otherwise   head, chunks, the last chunk (RFC 9112 §7.1)
 */
import type { FastStream } from "../../../api/mod.ts";

/** What a stream needs from its connection. */
export interface StreamConnection {
  /** Returns the fields that end the head of a stream. */
  headEnd(stream: Http1Stream, isChunked: boolean): Uint8Array;
  /** Passes the pieces to the socket, or keeps them until it is the stream's turn. */
  send(stream: Http1Stream): void;
  /** Bytes that the socket takes now. 0: before the stream's turn, or while the socket is full. */
  writableBytes(stream: Http1Stream): number;
  /** The response is complete. */
  ended(stream: Http1Stream): void;
  pause(): void;
  resume(): void;
}

const lineEnd = Buffer.from("\r\n");
const lastChunk = Buffer.from("0\r\n\r\n");
/** Unsent bytes above which write() returns false. */
const highWaterBytes = 64 * 1024;

export class Http1Stream implements FastStream {
  readonly isHttp1 = true;
  onData: ((chunk: Uint8Array) => void) | undefined;
  onEnd: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  onTimeout: (() => void) | undefined;
  onClose: (() => void) | undefined;
  headersSent = false;
  closed = false;
  /** The response is complete. */
  isEnded = false;
  /** Bytes of the request body that have not arrived. */
  rest: number;
  /** What the response has written and the connection has not taken. */
  pieces: Uint8Array[] = [];
  /** Called when the pieces have left. */
  onSent: (() => void) | undefined;
  readonly #connection: StreamConnection;
  /** The response has no content-length. */
  #isChunked = false;
  #isSendDue = false;
  #onWritable: (() => void) | undefined;

  constructor(connection: StreamConnection, contentLength: number) {
    this.#connection = connection;
    this.rest = contentLength;
  }

  respond(head: Uint8Array, hasLength = false): void {
    if (this.closed || this.headersSent) return;
    this.headersSent = true;
    this.#isChunked = !hasLength;
    this.pieces.push(head, this.#connection.headEnd(this, this.#isChunked));
    this.#sendLater();
  }

  write(bytes: Uint8Array): boolean {
    if (this.closed || this.isEnded) return true;
    if (bytes.length > 0) {
      if (this.#isChunked) this.pieces.push(chunkHead(bytes.length), bytes, lineEnd);
      else this.pieces.push(bytes);
      this.#sendLater();
    }
    return this.#connection.writableBytes(this) > 0 && this.pendingBytes <= highWaterBytes;
  }

  end(): void {
    if (this.closed || this.isEnded) return;
    this.isEnded = true;
    if (this.#isChunked) this.pieces.push(lastChunk);
    this.#connection.send(this);
    this.#connection.ended(this);
  }

  /** The response has begun, and its size is not known. */
  get isOpenStream(): boolean {
    return this.#isChunked && !this.isEnded;
  }

  get pendingBytes(): number {
    let bytes = 0;
    for (const piece of this.pieces) bytes += piece.length;
    return bytes;
  }

  get writableBytes(): number {
    return this.closed || this.isEnded ? 0 : this.#connection.writableBytes(this);
  }

  whenSent(callback: () => void): void {
    this.onSent = callback;
  }

  whenWritable(callback: () => void): void {
    this.#onWritable = callback;
  }

  pause(): void {
    if (this.rest > 0) this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  // For the connection.

  /** The socket takes bytes again, or it is the stream's turn. */
  drained(): void {
    if (this.closed || this.isEnded) return;
    this.onDrain?.();
    const callback = this.#onWritable;
    this.#onWritable = undefined;
    callback?.();
  }

  /** No callback follows. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.pieces = [];
    const { onClose } = this;
    this.onData = this.onEnd = this.onDrain = this.onTimeout = this.onClose = undefined;
    this.onSent = this.#onWritable = undefined;
    onClose?.();
  }

  /** A whole response is sent at once; what a stream writes in one turn is sent together. */
  #sendLater(): void {
    if (this.#isSendDue) return;
    this.#isSendDue = true;
    queueMicrotask(() => {
      this.#isSendDue = false;
      if (!this.closed) this.#connection.send(this);
    });
  }
}

const chunkHead = (bytes: number): Uint8Array => Buffer.from(`${bytes.toString(16)}\r\n`, "latin1");
