/**
 * Five minutes of measurements, and the arithmetic of plots: a round maximum for the axis, and points in a box.
 */

export interface Sample {
  readonly atMs: number;
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of the appends in the interval; undefined when there were none. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

export const seriesMs = 5 * 60_000;
const samplesMax = 1_500;

/** Returns a new list with the sample appended and samples older than the span dropped. */
export function withSample(samples: readonly Sample[], sample: Sample): Sample[] {
  const since = sample.atMs - seriesMs;
  const kept = samples.filter((old) => old.atMs >= since && old.atMs < sample.atMs);
  kept.push(sample);
  return kept.slice(-samplesMax);
}

/**
 * Returns the samples with those of the past that no other is near to: what the page measured itself counts. Both are in the
 * order of their times.
 */
export function withPast(samples: readonly Sample[], past: readonly Sample[], nearMs = 700): Sample[] {
  const added = past.filter(({ atMs }) => !samples.some((own) => Math.abs(own.atMs - atMs) < nearMs));
  return [...samples, ...added].sort((a, b) => a.atMs - b.atMs).slice(-samplesMax);
}

/** A sample from what a Throughput event counted in its interval. */
export function rates(
  counts: {
    recordsIn: number;
    recordsOut: number;
    bytesIn: number;
    bytesOut: number;
    p50Ms: number;
    p99Ms: number;
  },
  intervalMs: number,
  atMs: number,
): Sample {
  const per = 1000 / Math.max(1, intervalMs);
  return {
    atMs,
    recordsIn: counts.recordsIn * per,
    recordsOut: counts.recordsOut * per,
    bytesIn: counts.bytesIn * per,
    bytesOut: counts.bytesOut * per,
    p50Ms: counts.recordsIn === 0 ? undefined : counts.p50Ms,
    p99Ms: counts.recordsIn === 0 ? undefined : counts.p99Ms,
  };
}

/** The least of 1, 2, 5 × 10^n that is not below the value. */
export function niceMax(value: number, least: number): number {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  for (const step of [1, 2, 5]) if (wanted <= step * power) return step * power;
  return 10 * power;
}

/** The same for bytes, round in KiB, MiB, …. */
export function niceBytes(value: number, least: number): number {
  let unit = 1;
  while (Math.max(value, least) > 500 * unit) unit *= 1024;
  return niceMax(value / unit, least / unit) * unit;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Runs of points, left to right; where samples or values are missing for more than `gapMs` a new run begins. */
export function runs(
  samples: readonly Sample[],
  pick: (sample: Sample) => number | undefined,
  box: { width: number; height: number; top: number; nowMs: number; spanMs: number; gapMs: number },
): Point[][] {
  const found: Point[][] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const sample of samples) {
    const value = pick(sample);
    if (value === undefined) continue;
    const x = box.width - ((box.nowMs - sample.atMs) / box.spanMs) * box.width;
    const y = box.height - (Math.min(value, box.top) / box.top) * box.height;
    if (x < -box.width) continue;
    if (sample.atMs - lastMs > box.gapMs) found.push([]);
    (found.at(-1) as Point[]).push({ x, y });
    lastMs = sample.atMs;
  }
  return found;
}

/** The sample nearest in time. */
export function nearest(samples: readonly Sample[], atMs: number): Sample | undefined {
  let best: Sample | undefined;
  for (const sample of samples) {
    if (best === undefined || Math.abs(sample.atMs - atMs) < Math.abs(best.atMs - atMs)) best = sample;
  }
  return best;
}
