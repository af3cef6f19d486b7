/**
 * Finds the logs of a prefix that have batches in a segment, over several turns. Few logs are found by their names, so the
 * others of the segment cost nothing. If many names begin with the prefix, the logs of the segment are looked at.
 */
import type { LogId } from "../../types.ts";
import type { Segment } from "../segment/segment.ts";
import type { NamesPage } from "../state/committed-rows.ts";
import type { LogRow } from "../state/log-row.ts";

/** The committed rows. */
export interface MemberRows {
  row(id: LogId): LogRow | undefined;
  named(name: string): LogRow | undefined;
  namesFrom(prefix: string, after: string, limit: number): NamesPage;
}

/** Logs that a plan of batches looks at. */
export interface Members {
  readonly ids: readonly LogId[];
  /** For each log the ordinal before which it has no batch that was not planned. They rise from plan to plan. */
  readonly from: Uint32Array;
}

/** Rows that are read in one turn: one that is not in memory takes 10 to 100 µs. */
const rowsAtOnce = 64;
/** If a segment holds so few logs, they are looked at, however many names there are. */
const fewLogs = 4_096;
/** Names are looked at while they are fewer than this part of the logs of the segment. */
const namesPart = 1 / 16;

export const membersOf = (ids: readonly LogId[]): Members => ({ ids, from: new Uint32Array(ids.length) });

/** Ids that are listed in one turn: a segment can have hundreds of thousands. */
const idsAtOnce = 16_384;

/** The logs of a segment, listed in turns. */
function* idsOf(segment: Pick<Segment, "logIds">): Generator<void, readonly LogId[], void> {
  const ids: LogId[] = [];
  for (const id of segment.logIds()) if (ids.push(id) % idsAtOnce === 0) yield;
  return ids;
}

/** Yields after each turn of work. A log that is created meanwhile has no batch in what is committed when it begins. */
export function* findMembers(
  rows: MemberRows,
  segment: Pick<Segment, "logIds">,
  prefix: string,
): Generator<void, Members, void> {
  const byName: LogId[] = [];
  let ids: readonly LogId[] | undefined;
  for (let after = ""; ; yield) {
    const { names, next } = rows.namesFrom(prefix, after, rowsAtOnce);
    for (const name of names) {
      const id = rows.named(name)?.id;
      if (id !== undefined) byName.push(id);
    }
    if (next === undefined) return membersOf(byName);
    after = next;
    if (ids === undefined) yield;
    ids ??= yield* idsOf(segment);
    if (ids.length <= fewLogs || byName.length > ids.length * namesPart) break;
  }
  if (prefix === "") return membersOf(ids);
  const found: LogId[] = [];
  for (const [looked, id] of ids.entries()) {
    if (looked % rowsAtOnce === 0) yield;
    if (rows.row(id)?.name.startsWith(prefix) === true) found.push(id);
  }
  return membersOf(found);
}
