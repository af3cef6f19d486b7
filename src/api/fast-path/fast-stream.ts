/**
 * One request and its response as the fast path uses them: a stream of HTTP/2 (http2/h2-stream) or a request of HTTP/1.1
 * (server/http/http1-stream).
 */

export interface FastStream {
  /** True over HTTP/1.1: heads are lines, and there are no trailers. */
  readonly isHttp1?: boolean;
  /** Receives bytes of the request body. The receiver may keep them. */
  onData: ((chunk: Uint8Array) => void) | undefined;
  /** The request is complete. */
  onEnd: (() => void) | undefined;
  /** write() returned false before, and the stream accepts bytes again. */
  onDrain: (() => void) | undefined;
  /** The request passed its time limit. The call should fail with requestTimedOut(). */
  onTimeout: (() => void) | undefined;
  /** The stream has closed, for whatever reason. No other callback follows. */
  onClose: (() => void) | undefined;
  readonly closed: boolean;
  /** Bytes that can be sent now: 0 without window, while the socket is full, or while something is queued. */
  readonly writableBytes: number;
  readonly headersSent: boolean;
  /** Sends the head of the response, encoded for this version of HTTP (response-head.ts). `hasLength`: with a content-length. */
  respond(head: Uint8Array, hasLength?: boolean): void;
  /** Sends a piece of the body. The bytes must not change until they have left. False: wait for onDrain. */
  write(bytes: Uint8Array): boolean;
  /**
   * Calls back once when everything written so far has been handed to the operating system, so that its memory can be
   * reused. Does not call back when the stream closes first. Call it in the same turn as a write() of at least one byte.
   */
  whenSent(callback: () => void): void;
  /** Calls back once when `writableBytes` is above 0 again, unless the stream closes first. Call it when `writableBytes` is 0. */
  whenWritable(callback: () => void): void;
  /** Ends the response, with a block of trailers if given, which HTTP/1.1 does not have. */
  end(trailers?: Uint8Array): void;
  /** Stops extending the client's window. */
  pause(): void;
  resume(): void;
}
