/**
 * Knows whether any node was ever reached. A client whose first connections all fail most likely has a wrong address,
 * so it gives up early; one that was connected before waits for its cluster to come back. Pure.
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

  /** A node answered, well or not. */
  reached(): void {
    this.#reached = true;
  }

  /**
   * Judges a failed attempt at `nowMs` that began at `startedMs`. Returns the fault to report: the same one, or
   * "unreachable", which is not tried again, when none of the `addresses` could be reached for the whole patience.
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
