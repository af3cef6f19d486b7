/** Limits how many probes run at the same time. */
import { Fault } from "../../fault.ts";
import type { PeerRequest } from "../wire/request-codec.ts";
import { type ProbeOptions, type ProbeResult, probe } from "./probe.ts";

export class PeerProber {
  readonly #options: ProbeOptions;
  readonly #probesMax: number;
  #running = 0;
  #closed = false;

  constructor(options: ProbeOptions, probesMax: number) {
    this.#options = options;
    this.#probesMax = probesMax;
  }

  /** See probe(). Rejects with Fault "overloaded" if too many probes run, "unavailable" after close(). */
  async probe(address: string, request: PeerRequest | undefined, timeoutMs: number): Promise<ProbeResult> {
    if (this.#closed) throw new Fault("unavailable", { message: "this node is stopping" });
    if (this.#running >= this.#probesMax) {
      throw new Fault("overloaded", { message: "too many requests to other nodes are running" });
    }
    this.#running++;
    try {
      return await probe(this.#options, address, request, this.#options.clock.monotonicMs() + timeoutMs);
    } finally {
      this.#running--;
    }
  }

  close(): void {
    this.#closed = true;
  }
}
