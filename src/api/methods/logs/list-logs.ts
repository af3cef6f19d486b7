/**
 * A page of the logs that a caller may describe. It looks only at names that the policy allows: a caller of few logs does
 * not walk over a million others, and the page never tells the name of another log.
 */
import type { LogCatalog, LogInfo, LogPage } from "../../../types.ts";

export interface ListPlan {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
  /** Names and prefixes with `*` at the end. Undefined: not known, so `may` is asked for each name. */
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

/** Names that are fetched at once when `may` is asked for each. */
const askedAtOnce = 16;

export async function listLogs(catalog: Pick<LogCatalog, "list">, plan: ListPlan): Promise<LogPage> {
  const { limit, patterns } = plan;
  const shown: LogInfo[] = [];
  const ranges =
    patterns === undefined ? [{ start: plan.prefix, isPrefix: true }] : rangesOf(patterns, plan.prefix);
  for (const range of ranges) {
    if (shown.length > limit) break;
    await plan.turn();
    if (range.isPrefix) await addFrom(catalog, plan, range.start, shown);
    else addOne(catalog, plan, range.start, shown);
  }
  const logs = shown.slice(0, limit);
  return { logs, next: shown.length > limit ? logs.at(-1)?.name : undefined };
}

async function addFrom(
  catalog: Pick<LogCatalog, "list">,
  { after, limit, patterns, may, turn }: ListPlan,
  prefix: string,
  shown: LogInfo[],
): Promise<void> {
  let from: string | undefined = after;
  while (from !== undefined && shown.length <= limit) {
    const wanted = patterns === undefined ? askedAtOnce : limit + 1 - shown.length;
    const { logs, next }: LogPage = catalog.list(prefix, from, wanted);
    for (const log of logs) {
      if (shown.length > limit) break;
      // A decision of a model that only Casbin knows takes up to 10 ms.
      if (patterns === undefined) await turn();
      if (patterns !== undefined || may(log.name)) shown.push(log);
    }
    from = next;
    if (from !== undefined) await turn();
  }
}

function addOne(
  catalog: Pick<LogCatalog, "list">,
  { after }: ListPlan,
  name: string,
  shown: LogInfo[],
): void {
  if (compare(name, after) <= 0) return;
  const [first] = catalog.list(name, "", 1).logs;
  if (first?.name === name) shown.push(first);
}

/** Returns the names that match a pattern and begin with the prefix, as ranges in order that do not overlap. */
export function rangesOf(patterns: readonly string[], prefix: string): readonly NameRange[] {
  const all: NameRange[] = [];
  for (const pattern of new Set(patterns)) {
    const isPrefix = pattern.endsWith("*");
    const start = isPrefix ? pattern.slice(0, -1) : pattern;
    if (start.startsWith(prefix)) all.push({ start, isPrefix });
    else if (isPrefix && prefix.startsWith(start)) return [{ start: prefix, isPrefix }];
  }
  all.sort((a, b) => compare(a.start, b.start) || Number(b.isPrefix) - Number(a.isPrefix));
  const ranges: NameRange[] = [];
  for (const range of all) {
    const last = ranges.at(-1);
    const isCovered =
      last?.isPrefix === true ? range.start.startsWith(last.start) : range.start === last?.start;
    if (!isCovered) ranges.push(range);
  }
  return ranges;
}

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
