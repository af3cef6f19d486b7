/**
 * One socket to or from a peer: frames out of a bounded queue, frames in. A rim.
 *
 *   send → queue → (end of this turn) cork, write, uncork → wait for drain while the system takes no more
 *
 * What waits in the queue has certainly not left; what was handed over may have. While held, only what is sent
 * urgently goes: the handshake, before anything else may follow it.
 *
 * Never: reconnects, knows what a frame means.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import { type EncodedPeerFrame, type PeerFrame, PeerFrameReader, preamble } from "../wire/peer-frame.ts";
import { type Outgoing, type QueueBounds, SendQueue } from "./send-queue.ts";

export interface ConnectionOptions {
  readonly socket: Duplex;
  readonly bounds: QueueBounds;
  onFrame(frame: PeerFrame): void;
  /** Called once: the fault says why. What was queued has been dropped. */
  onClosed(fault: Fault): void;
}

/**
 * Handed over in one go. Not more, so that each go is a sign of life: a lane on which one takes seconds may be slow,
 * but is not dead.
 */
const burstBytesMax = 256 * 1024;

interface Piece {
  readonly chunk: Uint8Array;
  /** Called when the system has taken it, or failed to. */
  readonly done: ((error?: Error | null) => void) | undefined;
}

export class PeerConnection {
  readonly #options: ConnectionOptions;
  readonly #socket: Duplex;
  readonly #queue: SendQueue;
  readonly #reader: PeerFrameReader;
  /** Of what was taken from the queue, and is on its way to the socket. */
  #pieces: readonly Piece[] = [];
  #held = true;
  #blocked = false;
  #flushing = false;
  #closed = false;
  #moved = true;
  #error: Error | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { socket, bounds } = options;
    this.#socket = socket;
    this.#queue = new SendQueue(bounds);
    this.#reader = new PeerFrameReader((frame) => options.onFrame(frame));
    socket.on("data", (chunk: Uint8Array) => this.#guard(() => this.#received(chunk)));
    socket.on("drain", () => {
      this.#blocked = false;
      this.#moved = true;
      this.#guard(() => this.#flush());
    });
    socket.on("error", (error: Error) => {
      this.#error ??= error;
    });
    socket.once("end", () => this.#guard(() => this.#gone()));
    socket.once("close", () => this.#guard(() => this.#gone()));
    socket.write(preamble);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Waits to be sent. */
  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Has anything been read or taken by the system since this was last asked? */
  takeMoved(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    return moved;
  }

  /** False when there is no room: nothing was queued. */
  send(item: Outgoing): boolean {
    if (this.#closed || !this.#queue.push(item)) return false;
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.#guard(() => this.#flush());
      });
    }
    return true;
  }

  /** Goes before everything that waits, held or not. For a few small frames only. */
  sendUrgently({ chunks }: EncodedPeerFrame): void {
    if (this.#closed) return;
    for (const chunk of chunks) this.#socket.write(chunk);
  }

  /** The handshake is over: what waits may go, and all kinds of frames may come. */
  release(): void {
    this.#reader.greeted();
    this.#held = false;
    this.#flush();
  }

  /** Ends it, with the reason for whoever owns it. Harmless when it has ended already. */
  close(fault: Fault): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.stop();
    this.#socket.destroy();
    this.#drop(fault);
    this.#options.onClosed(fault);
  }

  /** Says one last thing, and ends it once that has left. */
  finish(frame: EncodedPeerFrame, fault: Fault): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.stop();
    for (const chunk of frame.chunks) this.#socket.write(chunk);
    this.#socket.end(() => this.#socket.destroy());
    this.#drop(fault);
    this.#options.onClosed(fault);
  }

  /** Ends it without a word, also while a last one is on its way. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** What has not been handed to the socket will not be. What was, hears of it from there. */
  #drop(fault: Fault): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    for (const { done } of pieces) done?.(fault);
    this.#queue.clear();
  }

  #received(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#moved = true;
    this.#reader.push(chunk);
  }

  /**
   * The boundary of the socket: a Fault ends the connection, and so does whatever else a handler throws. Its owner logs
   * the fault.
   */
  #guard(work: () => void): void {
    try {
      work();
    } catch (reason) {
      const fault = reason instanceof Fault ? reason : unexpected(reason);
      try {
        this.close(fault);
      } catch {
        this.#socket.destroy();
      }
    }
  }

  #flush(): void {
    while (!this.#held && !this.#blocked && !this.#closed) {
      if (this.#pieces.length === 0) this.#pieces = piecesOf(this.#queue.take(burstBytesMax));
      if (this.#pieces.length === 0) {
        if (this.#queue.count > 0) continue;
        return;
      }
      let bytes = 0;
      let count = 0;
      let clear = true;
      this.#socket.cork();
      for (const { chunk, done } of this.#pieces) {
        if (count > 0 && bytes + chunk.length > burstBytesMax) break;
        count++;
        bytes += chunk.length;
        clear = this.#socket.write(chunk, done);
      }
      this.#pieces = count === this.#pieces.length ? [] : this.#pieces.slice(count);
      this.#socket.uncork();
      this.#blocked = !clear;
    }
  }

  #gone(): void {
    const cause = this.#error;
    const code = cause === undefined ? undefined : Reflect.get(cause, "code");
    this.close(
      new Fault("unavailable", {
        message: "the connection to the peer has ended",
        ...(typeof code === "string" ? { facts: { code } } : {}),
        cause,
      }),
    );
  }
}

const unexpected = (cause: unknown): Fault =>
  new Fault("unknown", {
    message: `a frame of the peer could not be handled, ${String(cause)}`,
    written: "unknown",
    cause,
  });

/** What is to be written, no piece larger than a burst. */
function piecesOf(items: readonly Outgoing[]): Piece[] {
  const pieces: Piece[] = [];
  for (const item of items) {
    const lastChunk = item.chunks.length - 1;
    for (const [at, chunk] of item.chunks.entries()) {
      for (let from = 0; from < chunk.length; from += burstBytesMax) {
        const end = Math.min(chunk.length, from + burstBytesMax);
        const watched = item.written !== undefined && at === lastChunk && end === chunk.length;
        pieces.push({
          chunk: from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end),
          done: watched ? (error) => (error ? item.dropped?.() : item.written?.()) : undefined,
        });
      }
    }
  }
  return pieces;
}
