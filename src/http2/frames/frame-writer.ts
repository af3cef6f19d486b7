/** Writes the frames of one connection into its output buffer. After close() it drops them. */
import { errorCode, frameFlag, frameHeadBytes, framePayloadMax, frameType } from "./frames.ts";
import { OutBuffer } from "./out-buffer.ts";

interface OutputListener {
  /** The output buffer has bytes to send. */
  onOutput(): void;
}

export class FrameWriter {
  readonly out = new OutBuffer();
  readonly #listener: OutputListener;
  #isClosed = false;

  constructor(listener: OutputListener) {
    this.#listener = listener;
  }

  /** True once the connection is over: no frame is written or read any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Writes a whole header block as HEADERS and, if it is larger than a frame, CONTINUATION. */
  headers(stream: number, block: Uint8Array, endStream: boolean): void {
    if (this.#isClosed) return;
    let at = 0;
    do {
      const part = block.subarray(at, at + framePayloadMax);
      const isLast = at + part.length === block.length;
      const flags = (isLast ? frameFlag.endHeaders : 0) | (endStream && at === 0 ? frameFlag.endStream : 0);
      this.#head(part.length, at === 0 ? frameType.headers : frameType.continuation, flags, stream, 0);
      this.out.add(part);
      at += part.length;
    } while (at < block.length);
    this.#listener.onOutput();
  }

  /** Writes DATA of at most framePayloadMax bytes. `payload` must not change until it is sent. */
  data(stream: number, payload: Uint8Array, endStream: boolean): void {
    if (this.#isClosed) return;
    this.#head(payload.length, frameType.data, endStream ? frameFlag.endStream : 0, stream, 0);
    if (payload.length > 0) this.out.add(payload);
    this.#listener.onOutput();
  }

  /** Writes RST_STREAM. */
  reset(stream: number, code: number): void {
    this.#u32Frame(frameType.resetStream, stream, code);
  }

  /** Writes WINDOW_UPDATE; stream 0 is the connection. */
  windowUpdate(stream: number, bytes: number): void {
    this.#u32Frame(frameType.windowUpdate, stream, bytes);
  }

  settings(values: readonly (readonly [name: number, value: number])[]): void {
    if (this.#isClosed) return;
    let at = this.#head(6 * values.length, frameType.settings, 0, 0);
    for (const [name, value] of values) {
      this.out.target.writeUInt16BE(name, at);
      this.out.target.writeUInt32BE(value, at + 2);
      at += 6;
    }
    this.#listener.onOutput();
  }

  settingsAck(): void {
    if (this.#isClosed) return;
    this.#head(0, frameType.settings, frameFlag.ack, 0);
    this.#listener.onOutput();
  }

  /** Answers a PING with its 8 bytes. */
  pingAck(payload: Uint8Array): void {
    if (this.#isClosed) return;
    const at = this.#head(8, frameType.ping, frameFlag.ack, 0);
    this.out.target.set(payload, at);
    this.#listener.onOutput();
  }

  /** Writes GOAWAY. `debug` is text for the person who looks at the client. */
  goAway(lastStream: number, code: number = errorCode.none, debug = ""): void {
    if (this.#isClosed) return;
    const text = Buffer.from(debug);
    const at = this.#head(8 + text.length, frameType.goAway, 0, 0);
    this.out.target.writeUInt32BE(lastStream, at);
    this.out.target.writeUInt32BE(code, at + 4);
    this.out.target.set(text, at + 8);
    this.#listener.onOutput();
  }

  #u32Frame(type: number, stream: number, value: number): void {
    if (this.#isClosed) return;
    const at = this.#head(4, type, 0, stream);
    this.out.target.writeUInt32BE(value, at);
    this.#listener.onOutput();
  }

  /**
   * Writes a frame head and reserves `inlineBytes` of payload behind it. Returns where in out.target these begin; the
   * caller fills them.
   */
  #head(
    payloadBytes: number,
    type: number,
    flags: number,
    stream: number,
    inlineBytes = payloadBytes,
  ): number {
    const at = this.out.reserve(frameHeadBytes + inlineBytes);
    const { target } = this.out;
    target[at] = payloadBytes >>> 16;
    target[at + 1] = payloadBytes >>> 8;
    target[at + 2] = payloadBytes;
    target[at + 3] = type;
    target[at + 4] = flags;
    target.writeUInt32BE(stream, at + 5);
    return at + frameHeadBytes;
  }
}
