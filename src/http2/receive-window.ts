/**
 * The flow-control window that the server grants its client for the whole connection (RFC 9113 §6.9). Half of it is
 * granted again when half of it is used.
 */
import { ConnectionError } from "./frames/connection-error.ts";
import type { FrameWriter } from "./frames/frame-writer.ts";
import { errorCode, initialWindow } from "./frames/frames.ts";

export class ReceiveWindow {
  readonly #bytesMax: number;
  readonly #writer: FrameWriter;
  #left: number;
  /** Received since the last grant, bytes. */
  #ungranted = 0;

  /** Grants the client `bytesMax`. */
  constructor(bytesMax: number, writer: FrameWriter) {
    this.#bytesMax = bytesMax;
    this.#writer = writer;
    this.#left = bytesMax;
    writer.windowUpdate(0, bytesMax - initialWindow);
  }

  /**
   * Counts the payload of a DATA frame, padding included.
   * @throws ConnectionError if the client exceeds the window
   */
  receive(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) {
      throw new ConnectionError(errorCode.flowControl, "DATA exceeds the connection's window");
    }
    this.#ungranted += bytes;
    if (this.#ungranted < this.#bytesMax / 2) return;
    this.#left += this.#ungranted;
    this.#writer.windowUpdate(0, this.#ungranted);
    this.#ungranted = 0;
  }
}
