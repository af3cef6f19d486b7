/** Appends to all logs at a stated rate, with a producer for each log, and notes what is acknowledged and how long it took. */
import { LatencyHistogram } from "../../src/cli/bench/histogram.ts";
import { faultOf, type Producer, type TailraceClient } from "../../src/client/mod.ts";
import type { Ledger } from "./ledger.ts";
import { recordValue, type SoakLog } from "./plan.ts";

/** Records that go to one log together. */
const runRecords = 10;
const tickMs = 50;
/** While no node leads, this many records wait; then the writers do. */
const pendingMax = 20_000;

interface Target {
  readonly ledger: Ledger;
  readonly producer: Producer;
  sequence: number;
}

export class Writers {
  /** Acknowledged since takeLatency(). */
  #latency = new LatencyHistogram();
  acked = 0;
  /** Appends that failed, by kind and outcome. */
  readonly failures: Record<string, number> = {};
  #pending = 0;
  #sinceAckMs = performance.now();
  #longestStallMs = 0;
  readonly #targets: Target[];
  /** Every log as often as its weight says. */
  readonly #turns: Target[] = [];
  #turn = 0;

  constructor(client: TailraceClient, logs: readonly SoakLog[], ledgers: ReadonlyMap<string, Ledger>) {
    this.#targets = logs.map(({ name }) => ({
      ledger: ledgers.get(name)!,
      producer: client.log(name).producer(),
      sequence: 0,
    }));
    const heaviest = Math.max(...logs.map(({ weight }) => weight));
    for (let round = 0; round < heaviest; round++)
      for (const [n, { weight }] of logs.entries()) if (round < weight) this.#turns.push(this.#targets[n]!);
  }

  /** The longest time without any acknowledgment while some were due. */
  get longestStallMs(): number {
    return this.#longestStallMs;
  }

  /** Latencies since the last call. */
  takeLatency(): LatencyHistogram {
    const taken = this.#latency;
    this.#latency = new LatencyHistogram();
    return taken;
  }

  /** Appends `perSecond` records until the signal is aborted, or as many as possible with at most `inFlight` under way. */
  async run(
    load: { readonly perSecond: number } | { readonly inFlight: number },
    signal: AbortSignal,
  ): Promise<void> {
    let credit = 0;
    let beforeMs = performance.now();
    this.#sinceAckMs = beforeMs;
    while (!signal.aborted) {
      const nowMs = performance.now();
      if ("inFlight" in load) credit = load.inFlight - this.#pending;
      // What could not be sent in time is not sent later.
      else credit = Math.min(credit + (load.perSecond * (nowMs - beforeMs)) / 1_000, load.perSecond);
      beforeMs = nowMs;
      for (; credit >= runRecords && this.#pending < pendingMax; credit -= runRecords) this.#sendRun();
      this.#noteStall(nowMs);
      await new Promise((resolve) => setTimeout(resolve, "inFlight" in load ? 1 : tickMs));
    }
  }

  /** Waits until every append has succeeded or failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#targets.map(({ producer }) => producer.flush()));
  }

  #sendRun(): void {
    const target = this.#turns[this.#turn++ % this.#turns.length]!;
    for (let n = 0; n < runRecords; n++) void this.#send(target);
  }

  async #send(target: Target): Promise<void> {
    const { ledger, producer } = target;
    const sequence = target.sequence++;
    const beganMs = performance.now();
    this.#pending++;
    try {
      const { firstOffset } = await producer.send(recordValue(ledger.log, sequence));
      ledger.ack(sequence, firstOffset);
      const nowMs = performance.now();
      this.#latency.add(nowMs - beganMs);
      this.acked++;
      this.#noteStall(nowMs);
      this.#sinceAckMs = nowMs;
    } catch (reason) {
      const { kind, written } = faultOf(reason);
      const name = `${kind}, written ${written}`;
      this.failures[name] = (this.failures[name] ?? 0) + 1;
    } finally {
      this.#pending--;
    }
  }

  #noteStall(nowMs: number): void {
    if (this.#pending > 0) this.#longestStallMs = Math.max(this.#longestStallMs, nowMs - this.#sinceAckMs);
    else this.#sinceAckMs = nowMs;
  }
}
