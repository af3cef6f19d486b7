/**
 * How much of this node's appends may be under way to leaders at once. The limits stay below what a lane queues and what
 * a leader answers for one connection, so that appends wait here instead of being refused there. Pure.
 *
 * A caller that finds no room waits in line and is called once there is room for one.
 */
export interface ForwardLimits {
  readonly requestsMax: number;
  readonly bytesMax: number;
}

/** Half of what PeerLimits allow for one lane. */
const defaultGateLimits: ForwardLimits = { requestsMax: 8_192, bytesMax: 16 * 1024 * 1024 };

export class ForwardLimiter {
  readonly #limits: ForwardLimits;
  readonly #line = new Set<() => void>();
  #requests = 0;
  #bytes = 0;
  #isCalling = false;

  constructor(limits: ForwardLimits = defaultGateLimits) {
    this.#limits = limits;
  }

  /** True when a request may go now. A request may pass the limit of bytes, if it began below it. */
  get open(): boolean {
    return this.#requests < this.#limits.requestsMax && this.#bytes < this.#limits.bytesMax;
  }

  /** Is it open, and does no other stand in line before this caller? */
  isOpenTo(caller: () => void): boolean {
    if (!this.open) return false;
    const [first] = this.#line;
    return first === undefined || first === caller;
  }

  enter(bytes: number): void {
    this.#requests++;
    this.#bytes += bytes;
  }

  leave(bytes: number): void {
    this.#requests--;
    this.#bytes -= bytes;
    this.#callFirst();
  }

  /** Gets in line; `call` runs when there is room. Harmless when it stands there already. */
  wait(call: () => void): void {
    this.#line.add(call);
  }

  /** Leaves the line, having used its turn or not. */
  stepOut(call: () => void): void {
    if (this.#line.delete(call)) this.#callFirst();
  }

  /** Not from within the call of the one before: a long line would need a deep stack. */
  #callFirst(): void {
    if (this.#isCalling || this.#line.size === 0 || !this.open) return;
    this.#isCalling = true;
    queueMicrotask(() => {
      this.#isCalling = false;
      const [first] = this.#line;
      if (first !== undefined && this.open) first();
    });
  }
}
