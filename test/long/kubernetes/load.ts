/** A client that appends to the log `default` and follows it, through all that happens to the cluster. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { ClientTls } from "../../../src/client/mod.ts";
import { openClient, type TailraceClient } from "../../../src/client/mod.ts";
import { until } from "../../support/until.ts";
import { podWait } from "./kubernetes.ts";

export class Load {
  /** Value → its acknowledged offset. */
  readonly acked = new Map<string, number>();
  readonly #client: TailraceClient;
  readonly #stop = new AbortController();
  readonly #done: Promise<unknown>;
  #shown = 0;
  #lastAckMs = performance.now();
  #longestPauseMs = 0;
  #failure: unknown;

  constructor(addr: string, tls: ClientTls) {
    this.#client = openClient({ addr, tls });
    this.#done = Promise.all([this.#append(), this.#follow()]).catch((reason: unknown) => {
      this.#failure = reason;
      this.#stop.abort();
    });
  }

  /** The longest time between two acknowledgments since the last call, in milliseconds. */
  takeLongestPause(): number {
    const longestMs = Math.max(this.#longestPauseMs, performance.now() - this.#lastAckMs);
    this.#longestPauseMs = 0;
    return Math.round(longestMs);
  }

  /** Waits for more acknowledgments, and for the tail. */
  async goesOn(): Promise<void> {
    const { size } = this.acked;
    const holds = (): boolean =>
      this.#failure !== undefined || (this.acked.size > size + 20 && this.#shown > size + 20);
    await until("the load goes on", holds, podWait);
    assert.equal(this.#failure, undefined);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await this.#client[Symbol.asyncDispose]();
    assert.equal(this.#failure, undefined);
  }

  async #append(): Promise<void> {
    const producer = this.#client.producer({ deliveryMs: podWait.limitMs });
    for (let n = 0; !this.#stop.signal.aborted; n++) {
      const value = `value ${n}`;
      const { firstOffset } = await producer.send({ value });
      this.acked.set(value, firstOffset);
      const nowMs = performance.now();
      this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - this.#lastAckMs);
      this.#lastAckMs = nowMs;
      await pause(10);
    }
    await producer[Symbol.asyncDispose]();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    try {
      for await (const { offset } of this.#client.consume({ from: 0, signal })) {
        assert.equal(offset, this.#shown, "the tail has a gap or a duplicate");
        this.#shown++;
      }
    } catch (reason) {
      if (!signal.aborted) throw reason;
    }
  }
}
