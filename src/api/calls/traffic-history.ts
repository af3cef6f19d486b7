/**
 * What the traffic of the last ten minutes was, second by second, for charts that are opened later. A sample takes some
 * microseconds once a second, also while nothing is read; all of them take about 100 KB.
 */
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { latencyBetween, type Traffic, type TrafficSample } from "./traffic.ts";

const everyMs = 1_000;
const samplesMax = 600;

/** What was counted in an interval. Latencies are in milliseconds, 0 without appends. */
export interface TrafficInterval {
  readonly intervalMs: number;
  readonly recordsIn: number;
  readonly bytesIn: number;
  readonly recordsOut: number;
  readonly bytesOut: number;
  readonly appendP50Ms: number;
  readonly appendP99Ms: number;
}

export const intervalBetween = (
  before: TrafficSample,
  after: TrafficSample,
  elapsedMs: number,
): TrafficInterval => ({
  intervalMs: Math.max(1, Math.round(elapsedMs)),
  recordsIn: after.recordsIn - before.recordsIn,
  bytesIn: after.bytesIn - before.bytesIn,
  recordsOut: after.recordsOut - before.recordsOut,
  bytesOut: after.bytesOut - before.bytesOut,
  appendP50Ms: latencyBetween(before, after, 0.5),
  appendP99Ms: latencyBetween(before, after, 0.99),
});

export class TrafficHistory {
  readonly #clock: Clock;
  readonly #traffic: Pick<Traffic, "sample">;
  /** The oldest one comes first. */
  #intervals: TrafficInterval[] = [];
  #before: TrafficSample;
  #sampledAtMs: number;
  #timer: Timer | undefined;

  /** Samples until stop(). The timer does not keep the process alive. */
  constructor(traffic: Pick<Traffic, "sample">, clock: Clock) {
    this.#clock = clock;
    this.#traffic = traffic;
    this.#before = traffic.sample();
    this.#sampledAtMs = clock.monotonicMs();
    this.#wait();
  }

  /** The intervals of this time before now, as far as they are kept, the oldest first. The last one ended less than a second ago. */
  last(milliseconds: number): readonly TrafficInterval[] {
    let from = this.#intervals.length;
    const oldest = Math.max(0, from - samplesMax);
    for (let left = milliseconds; from > oldest && left > 0; from--)
      left -= this.#intervals[from - 1]!.intervalMs;
    return this.#intervals.slice(from);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #wait(): void {
    this.#timer = this.#clock.after(everyMs, () => {
      this.#sample();
      this.#wait();
    });
  }

  #sample(): void {
    const after = this.#traffic.sample();
    const nowMs = this.#clock.monotonicMs();
    this.#intervals.push(intervalBetween(this.#before, after, nowMs - this.#sampledAtMs));
    // Cut off now and then: a shift for each sample would move all of them.
    if (this.#intervals.length >= 2 * samplesMax) this.#intervals = this.#intervals.slice(-samplesMax);
    this.#before = after;
    this.#sampledAtMs = nowMs;
  }
}
