/** An HTTP/2 stream for unit tests of the fast path: keeps what is sent, and delivers what the test passes in. */
import type { FastStream } from "../../../../src/api/fast-path/fast-stream.ts";

export class FakeFastStream implements FastStream {
  onData: ((chunk: Uint8Array) => void) | undefined;
  onEnd: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  onTimeout: (() => void) | undefined;
  onClose: (() => void) | undefined;
  closed = false;
  writableBytes = 65_536;
  headersSent = false;
  /** The header blocks that were sent, trailers included. */
  readonly blocks: Uint8Array[] = [];
  readonly written: Uint8Array[] = [];
  ended = false;
  paused = false;

  get body(): Buffer {
    return Buffer.concat(this.written);
  }

  respond(block: Uint8Array): void {
    this.headersSent = true;
    this.blocks.push(block);
  }

  write(bytes: Uint8Array): boolean {
    this.written.push(bytes);
    return true;
  }

  whenSent(callback: () => void): void {
    callback();
  }

  whenWritable(callback: () => void): void {
    callback();
  }

  end(trailers?: Uint8Array): void {
    this.ended = true;
    if (trailers !== undefined) this.blocks.push(trailers);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }
}
