/**
 * One socket to or from a peer: sends frames from a bounded queue, and reads frames.
 *
 *   send → queue → (end of this turn, or flush) cork, write, uncork → wait for drain while the socket takes no more
 *
 * A queued frame has certainly not left this node. A frame that was handed to the socket may have. Until the handshake
 * is complete only sendFirst() writes to the socket.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { type EncodedPeerFrame, type PeerFrame, preamble } from "../wire/peer-frame.ts";
import { PeerFrameReader } from "../wire/peer-frame-reader.ts";
import { type QueuedFrame, SendQueue, type SendQueueLimits } from "./send-queue.ts";

export interface PeerConnectionOptions {
  readonly socket: Duplex;
  readonly queue: SendQueueLimits;
  /** For patient frames. */
  readonly clock: Pick<Clock, "soon">;
  /** A fault that this throws ends the connection. */
  onFrame(frame: PeerFrame): void;
  /** Called once, with the reason. Queued frames have been dropped before. */
  onClosed(fault: Fault): void;
}

/**
 * Bytes that are handed to the socket at once. Each burst that the socket takes is a sign of life, so that a slow
 * connection is not mistaken for a dead one.
 */
const burstBytesMax = 256 * 1024;

interface Piece {
  readonly chunk: Uint8Array;
  /** Called when the operating system has taken the chunk, or failed to. */
  readonly done: ((error?: Error | null) => void) | undefined;
}

export class PeerConnection {
  readonly #options: PeerConnectionOptions;
  readonly #socket: Duplex;
  readonly #queue: SendQueue;
  readonly #reader: PeerFrameReader;
  /** Taken from the queue, not yet handed to the socket. */
  #pieces: readonly Piece[] = [];
  #handshakeDone = false;
  #blocked = false;
  #flushScheduled = false;
  #patientScheduled = false;
  #closed = false;
  #active = true;
  #error: Error | undefined;

  constructor(options: PeerConnectionOptions) {
    this.#options = options;
    const { socket, queue } = options;
    this.#socket = socket;
    this.#queue = new SendQueue(queue);
    this.#reader = new PeerFrameReader((frame) => options.onFrame(frame));
    socket.on("data", (chunk: Uint8Array) => this.#run(() => this.#received(chunk)));
    socket.on("drain", () => {
      this.#blocked = false;
      this.#active = true;
      this.#run(() => this.#flush());
    });
    socket.on("error", (error: Error) => {
      this.#error ??= error;
    });
    socket.once("end", () => this.#run(() => this.#socketEnded()));
    socket.once("close", () => this.#run(() => this.#socketEnded()));
    socket.write(preamble);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Returns true if bytes were received, or taken by the operating system, since the last call. */
  takeActivity(): boolean {
    const active = this.#active;
    this.#active = false;
    return active;
  }

  /** Queues a frame. Returns false, without queuing it, if the connection has ended or the queue is full. */
  send(frame: QueuedFrame): boolean {
    if (this.#closed || !this.#queue.push(frame)) return false;
    if (this.#flushScheduled) return true;
    if (frame.isPatient === true) {
      if (!this.#patientScheduled) this.#options.clock.soon(this.#onPatientDue);
      this.#patientScheduled = true;
      return true;
    }
    this.#flushScheduled = true;
    queueMicrotask(this.#onFlushDue);
    return true;
  }

  /** Hands what was sent to the socket now, and not at the end of this turn. */
  flush(): void {
    if (this.#flushScheduled) this.#onFlushDue();
  }

  /** Writes a frame to the socket before all queued ones, also during the handshake. For a few small frames only. */
  sendFirst({ chunks }: EncodedPeerFrame): void {
    if (this.#closed) return;
    for (const chunk of chunks) this.#socket.write(chunk);
  }

  /** Starts to send the queued frames, and to accept frames of all kinds. */
  completeHandshake(): void {
    this.#reader.completeHandshake();
    this.#handshakeDone = true;
    this.#flush();
  }

  /** Ends the connection at once. Has no effect on one that has ended. */
  close(fault: Fault): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.stop();
    this.#socket.destroy();
    this.#dropQueued(fault);
    this.#options.onClosed(fault);
  }

  /** Ends the connection after this last frame has been written. */
  closeAfter(frame: EncodedPeerFrame, fault: Fault): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.stop();
    for (const chunk of frame.chunks) this.#socket.write(chunk);
    this.#socket.end(() => this.#socket.destroy());
    this.#dropQueued(fault);
    this.#options.onClosed(fault);
  }

  readonly #onPatientDue = (): void => {
    this.#patientScheduled = false;
    this.#run(() => this.#flush());
  };

  readonly #onFlushDue = (): void => {
    if (!this.#flushScheduled) return;
    this.#flushScheduled = false;
    this.#run(() => this.#flush());
  };

  /** Destroys the socket, even while the last frame of closeAfter() is being written. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Drops all frames that were not handed to the socket. The socket reports the fate of the others. */
  #dropQueued(fault: Fault): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    for (const { done } of pieces) done?.(fault);
    this.#queue.clear();
  }

  #received(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#active = true;
    this.#reader.push(chunk);
  }

  /** Runs a handler of a socket event. Whatever it throws ends this connection, not the process. */
  #run(handler: () => void): void {
    try {
      handler();
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
    while (this.#handshakeDone && !this.#blocked && !this.#closed) {
      if (this.#pieces.length === 0) this.#pieces = piecesOf(this.#queue.take(burstBytesMax));
      if (this.#pieces.length === 0) {
        // All frames of this burst were withdrawn.
        if (this.#queue.count > 0) continue;
        return;
      }
      let bytes = 0;
      let count = 0;
      let hasRoom = true;
      this.#socket.cork();
      for (const { chunk, done } of this.#pieces) {
        if (count > 0 && bytes + chunk.length > burstBytesMax) break;
        count++;
        bytes += chunk.length;
        hasRoom = this.#socket.write(chunk, done);
      }
      this.#pieces = count === this.#pieces.length ? [] : this.#pieces.slice(count);
      this.#socket.uncork();
      this.#blocked = !hasRoom;
    }
  }

  #socketEnded(): void {
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
    message: `handling a frame of the peer failed: ${String(cause)}`,
    written: "unknown",
    cause,
  });

/** Splits frames into pieces of at most one burst. The last piece of a frame reports that it was written. */
function piecesOf(frames: readonly QueuedFrame[]): Piece[] {
  const pieces: Piece[] = [];
  for (const frame of frames) {
    const lastChunk = frame.chunks.length - 1;
    for (const [at, chunk] of frame.chunks.entries()) {
      for (let from = 0; from < chunk.length; from += burstBytesMax) {
        const end = Math.min(chunk.length, from + burstBytesMax);
        const reports = frame.written !== undefined && at === lastChunk && end === chunk.length;
        pieces.push({
          chunk: from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end),
          done: reports ? (error) => (error ? frame.dropped?.() : frame.written?.()) : undefined,
        });
      }
    }
  }
  return pieces;
}
