/**
 * Flow control of what one connection sends (RFC 9113 §5.2 and §6.9): the connection's window, and which streams wait
 * for which window.
 *
 * A stream that cannot send waits in one of two sets: `starved` for its own window, `ready` for the connection's window,
 * the socket, or space in the output buffer. Streams in `ready` take turns; each turn sends a frame or moves the stream
 * to `starved`, so that no frame of the client costs more than it lets the server send.
 */
import type { MemoryBudget } from "../memory/mod.ts";
import { ConnectionError } from "./frames/connection-error.ts";
import type { FrameWriter } from "./frames/frame-writer.ts";
import { errorCode, framePayloadMax, initialWindow, windowMax } from "./frames/frames.ts";
import { type FrameMeter, frameCharge, frameEarning, perUnit } from "./limits/frame-meter.ts";

/** A DATA frame that a window reduces to less than this is charged: the client grants window in very small steps. */
const smallFrameBytes = 256;

/** The most to gather in the output buffer in one turn, bytes; the second while memory is tight. */
const gatheredBytesMax = 2 * 1024 * 1024;
const gatheredBytesTight = 64 * 1024;

/** A stream that sends DATA. */
export interface SendingStream {
  /** What the stream's own window allows, bytes. It can be negative (RFC 9113 §6.9.2). */
  readonly sendWindow: number;
  /** Window that the client granted to this stream by WINDOW_UPDATE, less what was sent. */
  readonly granted: number;
  /** Sends what waits, as far as the windows allow. */
  flush(): void;
}

export class SendFlow {
  /** The window that every stream has besides its own updates (the client's SETTINGS_INITIAL_WINDOW_SIZE). */
  initialStreamWindow = initialWindow;
  readonly #writer: FrameWriter;
  readonly #meter: FrameMeter;
  readonly #memory: MemoryBudget | undefined;
  #window = initialWindow;
  /** An upper bound of `granted` of all open streams. */
  #grantedMax = 0;
  readonly #ready = new Set<SendingStream>();
  readonly #starved = new Set<SendingStream>();
  #isCongested = false;
  /** Streams wait because the output buffer is full. */
  #isFull = false;

  constructor(writer: FrameWriter, meter: FrameMeter, memory: MemoryBudget | undefined) {
    this.#writer = writer;
    this.#meter = meter;
    this.#memory = memory;
  }

  /** Takes window for the next DATA frame of a stream. Returns how many of `requested` bytes it may have, 0 for none. */
  take(requested: number, streamWindow: number): number {
    if (this.#isCongested || this.#writer.isClosed || !this.#hasSpace()) return 0;
    const bytes = Math.min(requested, streamWindow, this.#window, framePayloadMax);
    if (bytes <= 0) return 0;
    this.#window -= bytes;
    if (bytes < requested && bytes < smallFrameBytes) {
      this.#meter.owe(frameEarning.dataSent + frameCharge.frame);
    }
    return bytes;
  }

  /** How many bytes a stream with this window can send now. */
  writableBytes(streamWindow: number): number {
    if (this.#isCongested || this.#writer.isClosed || !this.#hasSpace()) return 0;
    return Math.max(0, Math.min(streamWindow, this.#window));
  }

  #hasSpace(): boolean {
    const bytesMax = this.#memory?.tight === true ? gatheredBytesTight : gatheredBytesMax;
    if (this.#writer.out.bytes < bytesMax) return true;
    this.#isFull = true;
    return false;
  }

  /** Sends DATA for which take() took window. */
  send(stream: number, payload: Uint8Array, endStream: boolean): void {
    if (this.#writer.isClosed) return;
    this.#meter.earn(frameEarning.dataSent);
    this.#writer.data(stream, payload, endStream);
  }

  /** Calls stream.flush() when it can send again: when its own window grows if `isStarved`, else in its turn. */
  wait(stream: SendingStream, isStarved: boolean): void {
    if (isStarved) {
      this.#ready.delete(stream);
      this.#starved.add(stream);
    } else {
      this.#starved.delete(stream);
      this.#ready.add(stream);
    }
  }

  /** The stream is closed. */
  remove(stream: SendingStream): void {
    this.#ready.delete(stream);
    this.#starved.delete(stream);
  }

  clear(): void {
    this.#ready.clear();
    this.#starved.clear();
  }

  /** The socket has too much to send (true), or takes more again (false). */
  congested(is: boolean): void {
    this.#isCongested = is;
    if (!is) this.#sendReady();
  }

  /** The output buffer was passed to the socket, and the socket takes more. */
  flushed(): void {
    if (!this.#isFull || this.#isCongested) return;
    this.#isFull = false;
    this.#sendReady();
  }

  /**
   * WINDOW_UPDATE of the connection.
   * @throws ConnectionError if it is 0 or the window exceeds windowMax
   */
  grow(bytes: number): void {
    if (bytes === 0) throw new ConnectionError(errorCode.protocol, "WINDOW_UPDATE of 0 bytes");
    this.#window += bytes;
    if (this.#window > windowMax) {
      throw new ConnectionError(errorCode.flowControl, "the connection's window exceeds 2^31-1");
    }
    this.#sendReady();
  }

  /** A stream took a WINDOW_UPDATE. */
  streamGrew(stream: SendingStream): void {
    this.#grantedMax = Math.max(this.#grantedMax, stream.granted);
    if (this.#starved.has(stream)) stream.flush();
  }

  /**
   * SETTINGS_INITIAL_WINDOW_SIZE. It changes the window of every stream (RFC 9113 §6.9.2). Call wakeStarved() once all
   * settings are applied and acknowledged.
   * @throws ConnectionError if the window of a stream exceeds windowMax
   */
  setInitialStreamWindow(bytes: number, open: ReadonlyMap<number, SendingStream>): void {
    if (bytes > windowMax) {
      throw new ConnectionError(errorCode.flowControl, `an initial window of ${bytes} bytes exceeds 2^31-1`);
    }
    this.initialStreamWindow = bytes;
    if (bytes + this.#grantedMax <= windowMax) return;
    // The bound may be too high, because streams have sent or closed since: compute it again.
    this.#meter.charge(Math.ceil(open.size / perUnit.streams));
    this.#grantedMax = 0;
    for (const { granted } of open.values()) this.#grantedMax = Math.max(this.#grantedMax, granted);
    if (bytes + this.#grantedMax > windowMax) {
      throw new ConnectionError(errorCode.flowControl, "a stream's window exceeds 2^31-1");
    }
  }

  /** The initial window of all streams has grown: those that wait for their own window go on. */
  wakeStarved(): void {
    this.#meter.charge(Math.ceil(this.#starved.size / perUnit.streams));
    for (const stream of [...this.#starved]) if (stream.sendWindow > 0) stream.flush();
  }

  /** A stream that has more to send puts itself at the end of the set. */
  #sendReady(): void {
    for (const stream of this.#ready) {
      if (this.#window <= 0 || this.#isCongested || this.#writer.isClosed || !this.#hasSpace()) return;
      this.#ready.delete(stream);
      stream.flush();
    }
  }
}
