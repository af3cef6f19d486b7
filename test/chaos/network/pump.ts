/**
 * One direction of a connection through the proxy: forwards bytes at once, late, or after a cut, or resets the connection.
 * Above 1 MiB of held bytes the sender is paused.
 */
import type { Socket } from "node:net";

/** The state of a link. It is read for every chunk. */
export interface LinkState {
  /** No bytes pass. They wait, as TCP retransmits them until they arrive. */
  readonly cut: boolean;
  readonly delayMs: number;
}

const heldBytesMax = 1024 * 1024;

export class Pump {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #state: () => LinkState;
  readonly #held: { readonly bytes: Buffer; readonly dueAt: number }[] = [];
  #heldBytes = 0;
  #isEnded = false;
  #timer: NodeJS.Timeout | undefined;
  #resetAfter: number | undefined;

  constructor(from: Socket, to: Socket, state: () => LinkState) {
    this.#from = from;
    this.#to = to;
    this.#state = state;
    from.on("data", (bytes: Buffer) => {
      this.#held.push({ bytes, dueAt: performance.now() + state().delayMs });
      this.#heldBytes += bytes.length;
      this.flow();
    });
    from.on("end", () => {
      this.#isEnded = true;
      this.flow();
    });
    to.on("drain", () => this.flow());
    to.once("close", () => clearTimeout(this.#timer));
  }

  /** Lets `bytes` more bytes pass, then resets both ends. */
  resetAfter(bytes: number): void {
    this.#resetAfter = bytes;
  }

  /** Sends the bytes that may be sent now. Call it when the state has changed. */
  flow(): void {
    clearTimeout(this.#timer);
    while (this.#held.length > 0 && !this.#state().cut && !this.#to.writableNeedDrain) {
      const { bytes, dueAt } = this.#held[0]!;
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.flow(), waitMs);
        break;
      }
      this.#held.shift();
      this.#heldBytes -= bytes.length;
      if (!this.#send(bytes)) return;
    }
    if (this.#heldBytes > heldBytesMax) this.#from.pause();
    else if (this.#from.isPaused()) this.#from.resume();
    if (this.#isEnded && this.#held.length === 0) this.#to.end();
  }

  #send(bytes: Buffer): boolean {
    if (this.#to.destroyed) return false;
    if (this.#resetAfter === undefined || this.#resetAfter > bytes.length) {
      if (this.#resetAfter !== undefined) this.#resetAfter -= bytes.length;
      this.#to.write(bytes);
      return true;
    }
    // The reset must come after the write, or no byte of it arrives.
    this.#to.write(bytes.subarray(0, this.#resetAfter), () => {
      this.#to.resetAndDestroy();
      this.#from.resetAndDestroy();
    });
    return false;
  }
}
