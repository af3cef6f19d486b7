/** Compares the samples of a run with the bounds. Pure. */
import {
  ageBounds,
  calmLoadMax,
  highest,
  lifeBounds,
  runBounds,
  startSeconds,
  type TrendBound,
} from "./bounds.ts";
import type { Sample } from "./samples.ts";
import { atSameAge, floorsOf, livesOf, median, type Trend, trendOf } from "./trend.ts";

export interface Finding {
  readonly name: string;
  /** What was found, for people. */
  readonly found: string;
  readonly bound: string;
  /** Undefined: not checked. */
  readonly ok: boolean | undefined;
}

const percent = (share: number): string => `${share >= 0 ? "+" : "−"}${Math.abs(share * 100).toFixed(1)} %`;
const amount = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1));

/**
 * Findings on the series. Times are checked by the samples of a machine that was not busy, if these are half of all. `restartSeconds` is the time
 * between two restarts.
 */
export function checkSeries(samples: readonly Sample[], restartSeconds: number): Finding[] {
  const end = samples.at(-1)?.t ?? 0;
  const lives = livesOf(samples);
  const ages = [restartSeconds / 2, restartSeconds * 1.5] as const;
  const findings: Finding[] = [];
  for (const bound of ageBounds)
    findings.push(compare(bound, trendOf(atSameAge(lives, bound.field, end / 2 - ages[1], ages))));
  const long = lives.filter(
    ({ samples }) => (samples.at(-1)?.node.age ?? 0) - (samples[0]?.node.age ?? 0) >= restartSeconds * 5,
  );
  for (const bound of lifeBounds) {
    const trends = long.flatMap((life) =>
      floorsOf(life, bound.field).flatMap((points) => trendOf(points) ?? []),
    );
    const worst = trends.sort((a, b) => excess(bound, b) - excess(bound, a))[0];
    if (worst !== undefined)
      findings.push(compare(bound, worst, ` (worst of ${trends.length} parts of long lives)`));
  }
  const calm = samples.filter(({ load }) => load <= calmLoadMax);
  const busy = 1 - calm.length / samples.length;
  for (const bound of runBounds) {
    const isChecked = bound.isTime !== true || busy <= 0.5;
    const half = (isChecked && bound.isTime ? calm : samples).filter(({ t }) => t >= end / 2);
    const trend = trendOf(half.map((sample) => ({ t: sample.t, value: sample[bound.field] as number })));
    findings.push(isChecked ? compare(bound, trend) : notChecked(compare(bound, trend), busy));
  }
  const [typical, ...others] = checkHighest(busy <= 0.5 ? calm : samples, samples);
  return [...findings, busy <= 0.5 ? typical : notChecked(typical, busy), ...others];
}

const notChecked = ({ name, found }: Finding, busy: number): Finding => ({
  ...{ name, found, ok: undefined },
  bound: `not checked: the machine was busy for ${Math.round(busy * 100)} % of the time`,
});

/** The first finding is on what is typical. */
function checkHighest(calm: readonly Sample[], all: readonly Sample[]): [Finding, ...Finding[]] {
  const delaysOf = (samples: readonly Sample[]): number[] =>
    samples
      .flatMap(({ nodes }) =>
        nodes.flatMap((node) => (node !== undefined && node.age >= startSeconds ? [node.loopMs] : [])),
      )
      .filter((delay) => !Number.isNaN(delay));
  const most = (name: string, value: number, bound: number): Finding => ({
    name,
    found: `${amount(value)} ms`,
    bound: `${bound} ms`,
    ok: value <= bound,
  });
  return [
    most("event-loop delay, median of the longest", median(delaysOf(calm)), highest.loopMsMedian),
    most("event-loop delay, longest", Math.max(...delaysOf(all)), highest.loopMs),
    most("tail lag p99, highest", Math.max(...all.map(({ lagP99Ms }) => lagP99Ms)), highest.lagP99Ms),
  ];
}

const changeOf = ({ perHour, hours }: Trend): number => perHour * hours;
const allowedOf = ({ perHour, scatter, negligible = 0 }: TrendBound, { hours, level }: Trend): number =>
  Math.max(Math.abs(perHour) * hours + scatter, level === 0 ? 0 : negligible / level);
const excess = (bound: TrendBound, trend: Trend): number =>
  changeOf(trend) * Math.sign(bound.perHour) - allowedOf(bound, trend);

function compare(bound: TrendBound, trend: Trend | undefined, note = ""): Finding {
  const { name, unit } = bound;
  if (trend === undefined) return { name, found: "too few points", bound: "", ok: false };
  const { level, perHour, hours, points } = trend;
  const allowed = allowedOf(bound, trend) * Math.sign(bound.perHour);
  return {
    name,
    found:
      `${amount(level)} ${unit}`.trim() +
      `, ${percent(perHour)} in an hour, ${percent(perHour * hours)} in ${Math.round(hours * 60)} min, ${points} points${note}`,
    bound: `${percent(allowed)} in ${Math.round(hours * 60)} min`,
    ok: excess(bound, trend) <= 0,
  };
}
