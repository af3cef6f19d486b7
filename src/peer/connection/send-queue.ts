/**
 * The frames that wait to be sent on one connection: in order, limited in number and bytes. Pure.
 *
 * The owner of a frame is asked before the frame is handed to the socket and can withdraw it then. Until that moment no
 * byte of it has left this node. The queue drops nothing that it has accepted; a full queue refuses.
 */

export interface QueuedFrame {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** Nobody waits for it: it may leave after what else this turn of the event loop has to send. Default false. */
  readonly isPatient?: boolean;
  /** Called before the frame is handed to the socket. Returns false to withdraw it. */
  begin?(): boolean;
  /** Called when the operating system has taken all of the frame. */
  written?(): void;
  /**
   * Called when the connection ends before that. For a frame without written(), only if it ends while the frame is still
   * queued.
   */
  dropped?(): void;
}

export interface SendQueueLimits {
  readonly countMax: number;
  readonly bytesMax: number;
}

export class SendQueue {
  readonly #limits: SendQueueLimits;
  #frames: QueuedFrame[] = [];
  #start = 0;
  #bytes = 0;

  constructor(limits: SendQueueLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#frames.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Returns false if the queue is full. A frame larger than the limit is accepted by an empty queue. */
  push(frame: QueuedFrame): boolean {
    const { countMax, bytesMax } = this.#limits;
    if (this.count >= countMax || (this.count > 0 && this.#bytes + frame.bytes > bytesMax)) return false;
    this.#frames.push(frame);
    this.#bytes += frame.bytes;
    return true;
  }

  /** Removes the first frames, up to `bytesMax` but at least one, and returns those that were not withdrawn. */
  take(bytesMax: number): QueuedFrame[] {
    const taken: QueuedFrame[] = [];
    let bytes = 0;
    while (this.count > 0) {
      const frame = this.#frames[this.#start]!;
      if (taken.length > 0 && bytes + frame.bytes > bytesMax) break;
      this.#start++;
      this.#bytes -= frame.bytes;
      if (frame.begin?.() === false) continue;
      bytes += frame.bytes;
      taken.push(frame);
    }
    if (this.#start * 2 >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#start);
      this.#start = 0;
    }
    return taken;
  }

  /** Drops all frames, because the connection has ended. */
  clear(): void {
    const frames = this.#frames.slice(this.#start);
    this.#frames = [];
    this.#start = 0;
    this.#bytes = 0;
    for (const frame of frames) frame.dropped?.();
  }
}
