/**
 * Counts records and bytes in and out. All protocols update the counters; Watch and the metrics read them. Counters only
 * grow: a reader subtracts an earlier sample. Latencies are counted in buckets a quarter of a power of two wide, so a
 * percentile is exact to 19 %.
 */
import { type Histogram, type Metrics, noMetrics, secondsBoundaries } from "../../lib/telemetry.ts";

/** Buckets from a microsecond up: bucket k holds latencies up to 2^(k/4) µs; 2^24 µs is 17 s. */
const latencyBuckets = 97;

/** A copy of the counters at one moment. */
export interface TrafficSample {
  readonly recordsIn: number;
  readonly bytesIn: number;
  readonly recordsOut: number;
  readonly bytesOut: number;
  readonly latencies: Float64Array;
}

export class Traffic {
  recordsIn = 0;
  bytesIn = 0;
  recordsOut = 0;
  bytesOut = 0;
  /** Readers that follow the log now. */
  tails = 0;
  readonly #latencies = new Float64Array(latencyBuckets);
  readonly #seconds: Histogram;

  constructor(metrics: Metrics = noMetrics) {
    this.#seconds = metrics.histogram("tailrace.append.duration", {
      description: "Duration of appends, until durable and committed",
      unit: "s",
      boundaries: secondsBoundaries,
    });
    const total = (name: string, unit: string, description: string, observe: () => number): void => {
      metrics.total(`tailrace.${name}`, { description, unit }, observe);
    };
    total("records.appended", "{record}", "Records appended", () => this.recordsIn);
    total("records.sent", "{record}", "Records sent to readers", () => this.recordsOut);
    total("bytes.appended", "By", "Bytes of records appended", () => this.bytesIn);
    total("bytes.sent", "By", "Bytes of records sent to readers", () => this.bytesOut);
    const tails = { description: "Readers that follow the log now", unit: "{reader}" };
    metrics.gauge("tailrace.tails", tails, () => this.tails);
  }

  /** Counts an append of `records` that was committed after `milliseconds`. */
  appended(records: number, bytes: number, milliseconds: number): void {
    this.recordsIn += records;
    this.bytesIn += bytes;
    this.#seconds.record(milliseconds / 1000);
    const bucket = Math.ceil(Math.log2(Math.max(1, milliseconds * 1000)) * 4);
    this.#latencies[Math.min(bucket, latencyBuckets - 1)]! += 1;
  }

  sent(records: number, bytes: number): void {
    this.recordsOut += records;
    this.bytesOut += bytes;
  }

  sample(): TrafficSample {
    const { recordsIn, bytesIn, recordsOut, bytesOut } = this;
    return { recordsIn, bytesIn, recordsOut, bytesOut, latencies: this.#latencies.slice() };
  }
}

/**
 * Returns the latency in milliseconds that the fraction `share` of the appends between two samples did not exceed, 0
 * without appends.
 */
export function latencyBetween(before: TrafficSample, after: TrafficSample, share: number): number {
  let total = 0;
  for (let at = 0; at < latencyBuckets; at++) total += after.latencies[at]! - before.latencies[at]!;
  if (total === 0) return 0;
  let seen = 0;
  for (let at = 0; at < latencyBuckets; at++) {
    seen += after.latencies[at]! - before.latencies[at]!;
    if (seen >= share * total) return 2 ** (at / 4) / 1000;
  }
  return 2 ** ((latencyBuckets - 1) / 4) / 1000;
}
