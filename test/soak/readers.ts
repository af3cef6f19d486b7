/**
 * Reads everything that is written: one tail of all named logs by their prefix, and tails of `default` and of some named logs.
 * A tail that fails is an error of the run: the client library has to resume it at another node.
 */
import { LatencyHistogram } from "../../src/cli/bench/histogram.ts";
import { faultOf, type TailraceClient } from "../../src/client/mod.ts";
import type { Ledger } from "./ledger.ts";
import { prefix, type SoakLog, sequenceOf } from "./plan.ts";

/** Named logs with a tail of their own. */
const singles = 8;

export class Readers {
  /** Tails that ended with a fault. */
  readonly failures: string[] = [];
  records = 0;
  #lag = new LatencyHistogram();
  readonly #client: TailraceClient;
  readonly #ledgers: ReadonlyMap<string, Ledger>;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[] = [];

  constructor(client: TailraceClient, ledgers: ReadonlyMap<string, Ledger>) {
    this.#client = client;
    this.#ledgers = ledgers;
  }

  /** Milliseconds from the time of a record to its arrival, since the last call. */
  takeLag(): LatencyHistogram {
    const taken = this.#lag;
    this.#lag = new LatencyHistogram();
    return taken;
  }

  start(logs: readonly SoakLog[]): void {
    const { signal } = this.#stop;
    this.#running.push(
      this.#read("the tail of the prefix", this.#client.logs.tail({ prefix, from: "start", signal })),
    );
    const step = Math.max(1, Math.floor((logs.length - 1) / singles));
    const own = logs.filter((_, n) => n === 0 || n % step === 1).slice(0, singles + 1);
    for (const { name } of own) {
      const records = this.#client.log(name).consume({ from: 0, signal });
      this.#running.push(this.#read(`the tail of ${name}`, records, name));
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #read(
    reader: string,
    records: AsyncIterable<{
      readonly log?: string;
      readonly offset: number;
      readonly value: Uint8Array;
      readonly timestampMs: number;
    }>,
    name = "",
  ): Promise<void> {
    try {
      for await (const { log = name, offset, value, timestampMs } of records) {
        this.records++;
        this.#lag.add(Math.max(0, Date.now() - timestampMs));
        this.#ledgers.get(log)?.readRecord(reader, offset, sequenceOf(log, value));
      }
      if (!this.#stop.signal.aborted) this.failures.push(`${reader} ended`);
    } catch (reason) {
      if (this.#stop.signal.aborted) return;
      const { kind, message } = faultOf(reason);
      this.failures.push(`${reader} ended with ${kind}: ${message}`);
    }
  }
}
