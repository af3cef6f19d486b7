/**
 * A page of the logs that a caller may describe. It looks only at names that the policy allows: a caller of few logs does
 * not walk over a million others, and the page never tells the name of another log. A page looks at a limited number of
 * patterns and names, so it can be shorter than its limit, or empty, and have a next one.
 */

import { Fault } from "../../../fault.ts";
import { compareNames } from "../../../lib/names/name-order.ts";
import type { LogCatalog, LogInfo, LogPage } from "../../../types.ts";

export interface ListPlan {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
  /**
   * Names and prefixes with `*` at the end, in order and without one that another one covers: see
   * AccessControl.patternsOf(). Undefined: not known, so `may` is asked for each name.
   */
  readonly patterns: readonly string[] | undefined;
  readonly may: (name: string) => boolean;
  /** Resolves when the event loop has time for more. */
  readonly turn: () => Promise<void>;
}

/** All names that begin with a prefix, or one name. */
interface NameRange {
  readonly start: string;
  readonly isPrefix: boolean;
}

/** Logs that are fetched at once. A row that is not in memory takes 10 to 100 µs. */
const fetchedAtOnce = 16;
/** Ranges that a page looks at. */
const rangesMax = 1_024;
/** Names that a page asks `may` for before the first one that is allowed. */
const askedMax = 16_384;

/** @throws Fault "overloaded" if only `may` knows, and it refuses the first 16,384 names */
export function listLogs(catalog: Pick<LogCatalog, "list">, plan: ListPlan): Promise<LogPage> {
  return plan.patterns === undefined ? askedPage(catalog, plan) : allowedPage(catalog, plan, plan.patterns);
}

async function allowedPage(
  catalog: Pick<LogCatalog, "list">,
  plan: ListPlan,
  patterns: readonly string[],
): Promise<LogPage> {
  const { after, limit, turn } = plan;
  const shown: LogInfo[] = [];
  let looks = 0;
  let last = "";
  for (const range of rangesFrom(patterns, plan.prefix, after)) {
    // What follows the start of the last range and the last log is still to be looked at.
    if (looks++ === rangesMax) return { logs: shown, next: later(last, shown.at(-1)?.name ?? "") };
    last = range.start;
    await turn();
    if (range.isPrefix) await addAll(catalog, plan, range.start, shown);
    else addOne(catalog, after, range.start, shown);
    if (shown.length > limit) break;
  }
  const logs = shown.slice(0, limit);
  return { logs, next: shown.length > limit ? logs.at(-1)?.name : undefined };
}

/** Adds the logs of a prefix, up to one more than the page has. */
async function addAll(
  catalog: Pick<LogCatalog, "list">,
  { after, limit, turn }: ListPlan,
  prefix: string,
  shown: LogInfo[],
): Promise<void> {
  for (let from = after; ; ) {
    const wanted = Math.min(fetchedAtOnce, limit + 1 - shown.length);
    const { logs, next } = catalog.list(prefix, from, wanted);
    shown.push(...logs);
    if (next === undefined || shown.length > limit) return;
    from = next;
    await turn();
  }
}

function addOne(catalog: Pick<LogCatalog, "list">, after: string, name: string, shown: LogInfo[]): void {
  if (compareNames(name, after) <= 0) return;
  const [first] = catalog.list(name, "", 1).logs;
  if (first?.name === name) shown.push(first);
}

const later = (one: string, other: string): string => (compareNames(one, other) < 0 ? other : one);

/** A page of the names that `may` allows. */
async function askedPage(catalog: Pick<LogCatalog, "list">, plan: ListPlan): Promise<LogPage> {
  const { limit, may, prefix, turn } = plan;
  const shown: LogInfo[] = [];
  let asked = 0;
  let from: string | undefined = plan.after;
  while (from !== undefined && shown.length <= limit) {
    const { logs, next }: LogPage = catalog.list(prefix, from, fetchedAtOnce);
    for (const log of logs) {
      if (shown.length > limit) break;
      if (++asked > askedMax) return pageUpTo(shown);
      // A decision of a model that only Casbin knows takes up to 10 ms.
      await turn();
      if (may(log.name)) shown.push(log);
    }
    from = next;
    if (from !== undefined) await turn();
  }
  const logs = shown.slice(0, limit);
  return { logs, next: shown.length > limit ? logs.at(-1)?.name : undefined };
}

/** The next page begins after a name that the caller may know. */
function pageUpTo(logs: readonly LogInfo[]): LogPage {
  const next = logs.at(-1)?.name;
  if (next !== undefined) return { logs, next };
  throw new Fault("overloaded", {
    message: `none of ${askedMax} logs may be described, and the model of the policy does not say which may; state a longer prefix`,
    facts: { limit: askedMax },
  });
}

/**
 * Yields the names that match a pattern and begin with the prefix, as ranges in order that do not overlap. It begins with the
 * first range that can have names after `after`.
 */
export function* rangesFrom(
  patterns: readonly string[],
  prefix: string,
  after: string,
): Generator<NameRange, void, undefined> {
  // The last pattern that does not begin after this is the only one before it that can have names after it.
  const from = later(prefix, after);
  for (let at = Math.max(0, firstAfter(patterns, from) - 1); at < patterns.length; at++) {
    const range = rangeOf(patterns[at]!);
    if (range.start.startsWith(prefix)) yield range;
    else if (range.isPrefix && prefix.startsWith(range.start)) yield { start: prefix, isPrefix: true };
    else if (compareNames(range.start, prefix) > 0) return;
  }
}

function rangeOf(pattern: string): NameRange {
  const isPrefix = pattern.endsWith("*");
  return { start: isPrefix ? pattern.slice(0, -1) : pattern, isPrefix };
}

/** The position of the first pattern whose names all come after `name`. */
function firstAfter(patterns: readonly string[], name: string): number {
  let [low, high] = [0, patterns.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(rangeOf(patterns[middle]!).start, name) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}
