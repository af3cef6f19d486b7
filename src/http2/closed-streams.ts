/**
 * What a frame on a closed stream means (RFC 9113 §5.1). A client may have sent it before it received a reset; then it is
 * ignored. On a stream that the client itself reset it is a stream error, on any other a connection error.
 */
import { ConnectionError } from "./frames/connection-error.ts";
import type { FrameWriter } from "./frames/frame-writer.ts";
import { errorCode } from "./frames/frames.ts";
import { type FrameMeter, frameCharge } from "./limits/frame-meter.ts";
import { ResetStreams } from "./limits/reset-streams.ts";

export class ClosedStreams {
  readonly #writer: FrameWriter;
  readonly #meter: FrameMeter;
  readonly #byServer = new ResetStreams();
  readonly #byClient = new ResetStreams();

  constructor(writer: FrameWriter, meter: FrameMeter) {
    this.#writer = writer;
    this.#meter = meter;
  }

  /** The server reset the stream while the client could still send `window` bytes. */
  resetByServer(id: number, window: number): void {
    this.#byServer.add(id, window);
  }

  resetByClient(id: number): void {
    this.#byClient.add(id, 0);
  }

  /**
   * Resets a stream that is not open.
   * @throws ConnectionError if the client caused too many
   */
  refuse(id: number, code: number): void {
    this.#meter.charge(frameCharge.frame);
    this.#writer.reset(id, code);
  }

  /** @throws ConnectionError if the client exceeds the window that the stream had left */
  onData(id: number, bytes: number, endStream: boolean): void {
    if (!this.#byServer.has(id)) {
      this.refuse(id, errorCode.streamClosed);
    } else if (!this.#byServer.spend(id, bytes)) {
      throw new ConnectionError(errorCode.flowControl, "DATA exceeds the window of a closed stream");
    } else if (endStream) {
      this.#byServer.delete(id);
    }
  }

  /**
   * HEADERS, most likely trailers. The block must have been decoded before, since it can change the table.
   * @throws ConnectionError if neither side reset the stream
   */
  onHeaders(id: number): void {
    if (this.#byServer.has(id)) {
      this.#byServer.delete(id);
    } else if (this.#byClient.has(id)) {
      this.refuse(id, errorCode.streamClosed);
    } else {
      throw new ConnectionError(errorCode.streamClosed, "HEADERS on a closed stream");
    }
  }
}
