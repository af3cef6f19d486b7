/**
 * Orders the pipelined requests of one HTTP/1.1 connection (RFC 9112 §9.3.2). Appends may run at the same time, because
 * they get their offsets in the order of arrival. Every other request runs alone: a read sees the append in front of it,
 * and an append finds the log that the request in front of it creates. Node sends the responses in the order of the
 * requests. direct/http1-connection.ts keeps the same order.
 */

/** A client that sends more requests without reading responses is disconnected. */
export const waitingMaxDefault = 256;
/** The same while memory is busy. */
export const waitingMaxBusy = 16;

interface WaitingRequest {
  readonly isAppend: boolean;
  readonly serve: () => void;
}

export class RequestOrder {
  readonly #waitingMax: () => number;
  #running = 0;
  #waiting: WaitingRequest[] = [];

  /** `waitingMax` is called for each request. Default 256. */
  constructor(waitingMax: () => number = () => waitingMaxDefault) {
    this.#waitingMax = waitingMax;
  }

  /** Serves the request now or in its turn. Returns false if too many wait. done() must follow once for each. */
  add(isAppend: boolean, serve: () => void): boolean {
    if (this.#running > 0 && (!isAppend || this.#waiting.length > 0)) {
      if (this.#waiting.length >= this.#waitingMax()) return false;
      this.#waiting.push({ isAppend, serve });
      return true;
    }
    this.#running++;
    serve();
    return true;
  }

  /** A response has ended. */
  readonly done = (): void => {
    this.#running--;
    while (this.#waiting.length > 0) {
      const [next] = this.#waiting as [WaitingRequest];
      if (this.#running > 0 && !next.isAppend) return;
      this.#waiting.shift();
      this.#running++;
      next.serve();
      if (!next.isAppend) return;
    }
  };
}
