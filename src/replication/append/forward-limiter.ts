/**
 * Limits the appends of this node that are in flight to leaders. The limits are below what a channel queues and what a
 * leader accepts from one connection, so appends wait here and are not refused there. Pure.
 *
 * A stream that must wait registers a callback. The callbacks are called in the order of registration, one at a time,
 * when there is capacity for one more request.
 */
export interface ForwardLimits {
  readonly requestsMax: number;
  readonly bytesMax: number;
}

/** Half of what PeerLimits allow for one channel. */
const defaultForwardLimits: ForwardLimits = { requestsMax: 8_192, bytesMax: 16 * 1024 * 1024 };

export class ForwardLimiter {
  readonly #limits: ForwardLimits;
  readonly #waiters = new Set<() => void>();
  #requests = 0;
  #bytes = 0;
  #isCallDue = false;

  constructor(limits: ForwardLimits = defaultForwardLimits) {
    this.#limits = limits;
  }

  /** True when a request may be sent now. A request may exceed the byte limit if the total was below it before. */
  get hasCapacity(): boolean {
    return this.#requests < this.#limits.requestsMax && this.#bytes < this.#limits.bytesMax;
  }

  /** Returns true if there is capacity and no other waiter comes before this one. */
  mayAcquire(waiter: () => void): boolean {
    if (!this.hasCapacity) return false;
    const [first] = this.#waiters;
    return first === undefined || first === waiter;
  }

  acquire(bytes: number): void {
    this.#requests++;
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#requests--;
    this.#bytes -= bytes;
    this.#callFirst();
  }

  /** Registers a waiter, which is called when there is capacity. A registered waiter keeps its position. */
  wait(waiter: () => void): void {
    this.#waiters.add(waiter);
  }

  /** Removes a waiter and calls the next one if there is capacity. */
  stopWaiting(waiter: () => void): void {
    if (this.#waiters.delete(waiter)) this.#callFirst();
  }

  /** Calls the first waiter in a microtask: a direct call would nest as deep as there are waiters. */
  #callFirst(): void {
    if (this.#isCallDue || this.#waiters.size === 0 || !this.hasCapacity) return;
    this.#isCallDue = true;
    queueMicrotask(() => {
      this.#isCallDue = false;
      const [first] = this.#waiters;
      if (first !== undefined && this.hasCapacity) first();
    });
  }
}
