/**
 * The output of a connection whose requests are pipelined. Thousands of appends are acknowledged in one turn of the event loop: the
 * responses of one connection leave in one write.
 */
import type { Socket } from "node:net";
import { sendPieces } from "./send-pieces.ts";

/** More than this is written at once. */
const gatheredBytesMax = 64 * 1024;

export class GatheredOutput {
  readonly #socket: Socket;
  readonly #wrote: (pieces: readonly Uint8Array[]) => void;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #whenSent: (() => void)[] = [];
  #isDue = false;

  /** `wrote` is called with what was written to the socket. */
  constructor(socket: Socket, wrote: (pieces: readonly Uint8Array[]) => void) {
    this.#socket = socket;
    this.#wrote = wrote;
  }

  /** Bytes that wait here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the pieces to the output. If `more` responses can follow in this turn, it leaves before the turn ends, and now otherwise. */
  add(pieces: readonly Uint8Array[], onSent: (() => void) | undefined, more: boolean): void {
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.#bytes += piece.length;
    }
    if (onSent !== undefined) this.#whenSent.push(onSent);
    if (!more || this.#bytes > gatheredBytesMax) this.flush();
    else if (!this.#isDue) {
      this.#isDue = true;
      queueMicrotask(this.#onDue);
    }
  }

  /** Writes what waits. Call it before anything else writes to the socket or ends it. */
  flush(): void {
    if (this.#pieces.length === 0) return;
    const [pieces, whenSent] = [this.#pieces, this.#whenSent];
    this.#pieces = [];
    this.#bytes = 0;
    this.#whenSent = [];
    if (this.#socket.destroyed) return;
    const onSent = (): void => {
      for (const sent of whenSent) sent();
    };
    this.#wrote(sendPieces(this.#socket, pieces, whenSent.length === 0 ? undefined : onSent));
  }

  readonly #onDue = (): void => {
    this.#isDue = false;
    this.flush();
  };
}
