/**
 * Requests that a client of HTTP/1.1 sends without waiting for answers, on one connection: appends may be under way
 * together, since they take their places in the order in which they came, but everything else waits for what was asked
 * before it (RFC 9112 §9.3.2), so that a read sees the append in front of it.
 *
 * Never: reorders answers; Node keeps those in order.
 */

/** More are not kept: a client that asks on and on without reading an answer is disconnected. */
export const waitingMaxDefault = 256;

interface Waiting {
  readonly appends: boolean;
  readonly serve: () => void;
}

export class RequestOrder {
  readonly #waitingMax: () => number;
  #underWay = 0;
  #waiting: Waiting[] = [];

  /** `waitingMax` is asked for each request. */
  constructor(waitingMax: () => number = () => waitingMaxDefault) {
    this.#waitingMax = waitingMax;
  }

  /** Serves it now or in its turn; false when too many wait. done() must follow once for each. */
  add(appends: boolean, serve: () => void): boolean {
    if (this.#underWay > 0 && (!appends || this.#waiting.length > 0)) {
      if (this.#waiting.length >= this.#waitingMax()) return false;
      this.#waiting.push({ appends, serve });
      return true;
    }
    this.#underWay++;
    serve();
    return true;
  }

  /** An answer is out. */
  readonly done = (): void => {
    this.#underWay--;
    while (this.#waiting.length > 0) {
      const [next] = this.#waiting as [Waiting];
      if (this.#underWay > 0 && !next.appends) return;
      this.#waiting.shift();
      this.#underWay++;
      next.serve();
      if (!next.appends) return;
    }
  };
}
