/**
 * Tracks whether any node was ever reached. If all first connections of a client fail, its address is probably wrong,
 * so it gives up early. A client that was connected before waits for its cluster to come back.
 */
import { Fault } from "../../fault.ts";

export class FirstContact {
  readonly #timeoutMs: number;
  #reached = false;
  #failures = 0;
  #sinceMs = 0;

  /** Gives up after `timeoutMs` without a connection. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Records that a node responded, with a result or an error. */
  reached(): void {
    this.#reached = true;
  }

  /**
   * Returns the fault to report for an attempt that began at `startedMs` and failed at `nowMs`. That is the same fault,
   * or "unreachable", which is not retried, once none of the `addresses` addresses was reached within the timeout.
   */
  failed(fault: Fault, addresses: number, startedMs: number, nowMs: number): Fault {
    if (fault.facts.unreachable !== true) {
      if (fault.kind !== "deadline" && fault.kind !== "canceled") this.#reached = true;
      return fault;
    }
    if (this.#reached) return fault;
    if (this.#failures++ === 0) this.#sinceMs = startedMs;
    if (this.#failures < addresses || nowMs - this.#sinceMs < this.#timeoutMs) return fault;
    const seconds = Math.round((nowMs - this.#sinceMs) / 1_000);
    return new Fault("unreachable", {
      message: `no node could be reached in ${seconds} s: ${fault.message}`,
      facts: fault.facts,
      cause: fault,
    });
  }
}
