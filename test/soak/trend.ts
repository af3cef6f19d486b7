/**
 * Trends of a series. Theil–Sen: the slope is the median of the slopes between all pairs of points, so single peaks do not count
 * (P. K. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", 1968).
 */
import type { NodeSample, Sample } from "./samples.ts";

export interface Point {
  /** Seconds. */
  readonly t: number;
  readonly value: number;
}

export interface Trend {
  /** The mean of the series, in its unit. */
  readonly level: number;
  /** Change in an hour, relative to the mean. */
  readonly perHour: number;
  /** The time that was looked at, in hours. */
  readonly hours: number;
  readonly points: number;
}

/** The part of a series of one node in one life of its process. */
export interface Life {
  readonly node: number;
  /** `t` of the start of the process. */
  readonly began: number;
  readonly samples: readonly { readonly t: number; readonly node: NodeSample }[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The slope per second; 0 for fewer than two points. */
export function slopeOf(points: readonly Point[]): number {
  const slopes: number[] = [];
  for (const [n, one] of points.entries())
    for (const other of points.slice(n + 1))
      if (other.t !== one.t) slopes.push((other.value - one.value) / (other.t - one.t));
  return slopes.length === 0 ? 0 : median(slopes);
}

/** Undefined for fewer than two points. */
export function trendOf(points: readonly Point[]): Trend | undefined {
  const found = points.filter(({ value }) => Number.isFinite(value));
  if (found.length < 2) return undefined;
  const level = mean(found.map(({ value }) => value));
  const hours = (found.at(-1)!.t - found[0]!.t) / 3_600;
  return { level, perHour: level === 0 ? 0 : (slopeOf(found) * 3_600) / level, hours, points: found.length };
}

export function livesOf(samples: readonly Sample[]): Life[] {
  const lives: Life[] = [];
  for (let n = 0; n < (samples[0]?.nodes.length ?? 0); n++) {
    let life: { t: number; node: NodeSample }[] = [];
    for (const { t, nodes } of samples) {
      const node = nodes[n];
      if (node === undefined) continue;
      const last = life.at(-1);
      if (last === undefined || node.age < last.node.age) {
        life = [];
        lives.push({ node: n, began: t - node.age, samples: life });
      }
      life.push({ t, node });
    }
  }
  return lives;
}

/**
 * The level at the same age of all lives that began at `from` or later: the median of each life between two ages. Each node is
 * compared with itself, so the values are divided by the mean of the node and multiplied by that of all.
 */
export function atSameAge(
  lives: readonly Life[],
  field: keyof NodeSample,
  from: number,
  ages: readonly [youngest: number, oldest: number],
): Point[] {
  const levels = lives
    .filter(({ began }) => began >= from)
    .map(({ node, samples }) => {
      const aged = samples.filter((one) => one.node.age >= ages[0] && one.node.age <= ages[1]);
      return {
        n: node,
        t: median(aged.map(({ t }) => t)),
        value: median(aged.map((one) => one.node[field])),
      };
    })
    .filter(({ value }) => Number.isFinite(value));
  const all = mean(levels.map(({ value }) => value));
  const own = (n: number): number => mean(levels.filter((one) => one.n === n).map(({ value }) => value));
  return levels
    .map(({ n, t, value }) => ({ t, value: own(n) === 0 ? 0 : (value / own(n)) * all }))
    .sort((a, b) => a.t - b.t);
}

/** The memory of a new leader grows for so long. */
const beginsToLeadSeconds = 60;
/** Samples that a half of a life must have. */
const samplesMin = 6;

/**
 * A long life after its first third: the lowest value of each half of it, once before the process has led and once after it. A leader
 * has the connections of the clients and the frames that followers need, and malloc keeps much of that memory for the process.
 * What a process frees again is above the lowest value, such as Buffers that are not collected for minutes, because V8 counts
 * them like other memory (src/agent/memory/gc-flags.ts).
 */
export function floorsOf(life: Life, field: keyof NodeSample): Point[][] {
  const first = life.samples[0]?.t ?? 0;
  const last = life.samples.at(-1)?.t ?? 0;
  const [third, half] = [first + (last - first) / 3, first + ((last - first) * 2) / 3];
  const led = life.samples.find(({ node }) => node.leads === 1)?.t ?? Number.POSITIVE_INFINITY;
  const parts = [
    life.samples.filter(({ t }) => t < led),
    life.samples.filter(({ t }) => t >= led + beginsToLeadSeconds),
  ];
  return parts.flatMap((part) => {
    const halves = [part.filter(({ t }) => t >= third && t < half), part.filter(({ t }) => t >= half)];
    if (halves.some(({ length }) => length < samplesMin)) return [];
    return [
      halves.map((samples) => ({
        t: median(samples.map(({ t }) => t)),
        value: Math.min(...samples.map(({ node }) => node[field])),
      })),
    ];
  });
}
