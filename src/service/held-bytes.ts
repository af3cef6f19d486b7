/**
 * How much memory the unfinished requests of all callers may hold together. Each message has its own limit, but
 * thousands of streams, each with nearly a whole message sent and the rest held back, would add up to any amount.
 *
 * Never: holds the bytes, waits.
 */
import { Fault } from "../fault.ts";

/** The share of one call. */
export interface HeldShare {
  /** The call now holds so many bytes. Fault "overloaded" when there is no room for them; what it held stays counted. */
  hold(bytes: number): void;
  /** More than half of all room is taken: keep nothing that is not needed. */
  readonly tight: boolean;
}

export class HeldBytes {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Held by all shares, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get tight(): boolean {
    return this.#bytes > this.#bytesMax / 2;
  }

  /** Moves a share from `before` to `after` bytes and answers `after`. Fault "overloaded" when it does not fit. */
  move(before: number, after: number): number {
    const total = this.#bytes - before + after;
    if (after > before && total > this.#bytesMax) {
      throw new Fault("overloaded", {
        message: "unfinished requests hold all the memory that they may",
        facts: { limit: this.#bytesMax },
      });
    }
    this.#bytes = total;
    return after;
  }

  /** A share that holds nothing yet; hold(0) gives it back. */
  share(): HeldShare {
    return new Share(this);
  }
}

class Share implements HeldShare {
  readonly #all: HeldBytes;
  #bytes = 0;

  constructor(all: HeldBytes) {
    this.#all = all;
  }

  hold(bytes: number): void {
    if (bytes !== this.#bytes) this.#bytes = this.#all.move(this.#bytes, bytes);
  }

  get tight(): boolean {
    return this.#all.tight;
  }
}
