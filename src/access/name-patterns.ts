/**
 * Lists of the objects that a subject may use (`log-match.ts`), for walks over them: in the order of the bytes of the names
 * that they begin with, and without an object that another one of the list covers. Pure.
 */
import { compareNames } from "../lib/names/name-order.ts";
import { YieldPoints } from "../lib/time/yield-points.ts";

/** The text with which the names of a pattern begin, or the one name. */
const startOf = (pattern: string): string => (pattern.endsWith("*") ? pattern.slice(0, -1) : pattern);

/** A prefix comes before the names that it covers. */
export function comparePatterns(one: string, other: string): number {
  const order = compareNames(startOf(one), startOf(other));
  return order !== 0 ? order : Number(other.endsWith("*")) - Number(one.endsWith("*"));
}

/** Adds a pattern that is not before the last one of the list, unless the list covers it. */
export function addPattern(list: string[], pattern: string): void {
  const last = list.at(-1);
  const isCovered = last?.endsWith("*") ? pattern.startsWith(last.slice(0, -1)) : pattern === last;
  if (!isCovered) list.push(pattern);
}

/** Returns the union of such lists as one. */
export function unionOf(lists: readonly (readonly string[])[]): readonly string[] {
  if (lists.length === 1) return lists[0]!;
  const union: string[] = [];
  for (const pattern of lists.flat().sort(comparePatterns)) addPattern(union, pattern);
  return union;
}

/** Patterns that are sorted without a pause. */
const sortedAtOnce = 2_048;

/** Sorts patterns. It pauses in between, so that many do not hold the event loop. */
export async function sortPatterns(patterns: readonly string[]): Promise<readonly string[]> {
  const yieldPoints = new YieldPoints();
  let runs: (readonly string[])[] = [];
  for (let at = 0; at < patterns.length; at += sortedAtOnce) {
    runs.push(patterns.slice(at, at + sortedAtOnce).sort(comparePatterns));
    await yieldPoints.next();
  }
  while (runs.length > 1) {
    const merged: (readonly string[])[] = [];
    for (let at = 0; at < runs.length; at += 2)
      merged.push(await mergedRuns(runs[at]!, runs[at + 1] ?? [], yieldPoints));
    runs = merged;
  }
  return runs[0] ?? [];
}

async function mergedRuns(
  one: readonly string[],
  other: readonly string[],
  yieldPoints: YieldPoints,
): Promise<readonly string[]> {
  const merged: string[] = [];
  let [at, from] = [0, 0];
  while (at < one.length && from < other.length) {
    const isFirst = comparePatterns(one[at]!, other[from]!) <= 0;
    merged.push(isFirst ? one[at++]! : other[from++]!);
    if (merged.length % sortedAtOnce === 0) await yieldPoints.next();
  }
  for (; at < one.length; at++) merged.push(one[at]!);
  for (; from < other.length; from++) merged.push(other[from]!);
  return merged;
}
