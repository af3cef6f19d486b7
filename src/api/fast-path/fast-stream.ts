/**
 * What the lane asks of an HTTP/2 stream. h2/h2-stream is one.
 *
 * Never: has a queue of its own.
 */

export interface LaneStream {
  /** Bytes of the request's body; whoever gets them may keep them. */
  onData: ((chunk: Uint8Array) => void) | undefined;
  /** The request is complete. */
  onEnd: (() => void) | undefined;
  /** There is room again, after write() answered false. */
  onDrain: (() => void) | undefined;
  /** The request took too long: the call should fail so. */
  onLate: (() => void) | undefined;
  /** The stream is over, in whatever way; nothing follows. */
  onClose: (() => void) | undefined;
  readonly closed: boolean;
  /** Bytes that can leave at once; 0 without window, while the socket is full, or while something waits. */
  readonly room: number;
  readonly headersSent: boolean;
  /** Sends a header block of encodeBlock(). */
  respond(block: Uint8Array): void;
  /** Sends a piece of the body, which must not change until it is gone. False: wait for onDrain. */
  write(bytes: Uint8Array): boolean;
  /**
   * Calls back once when all that was written so far has left for the operating system, so that its memory may be used
   * again; never when the stream is over before. To be asked in the turn of a write() of at least a byte.
   */
  whenSent(callback: () => void): void;
  /** Calls back once when `room` is above 0 again; never when the stream is over before. To be asked when it is 0. */
  whenRoom(callback: () => void): void;
  /** Ends the answer, with a block of trailers when given. */
  end(trailers?: Uint8Array): void;
  /** Lets the client send no more than it may already. */
  pause(): void;
  resume(): void;
}
