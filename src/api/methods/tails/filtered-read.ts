/** Reads with a filter: ConsumeStream, TailLogs, `/tail` and `/logs/NAME`. */
import { Fault } from "../../../fault.ts";
import { compileFilter, type Filter, FilteredLogsTail, FilteredTail } from "../../../filter/mod.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import type { MultiTail } from "../../../types.ts";
import type { OpenRead } from "./read-steps.ts";

/** What a read with a filter needs. */
interface FilterOptions {
  readonly clock: Clock;
  /** Time of the filter of one request, in milliseconds. Default: see FilteredTail. */
  readonly filterMs?: number | undefined;
}

/** A reader with a filter learns its position at least so often, in milliseconds. */
const positionMsMax = 1_000;

/** The interval of markers, for a reader with a filter if there is one. */
export const markerMs = (heartbeatMs: number, isFiltered: boolean): number =>
  isFiltered ? Math.min(heartbeatMs, positionMsMax) : heartbeatMs;

/**
 * Compiles the filter of a request. Undefined: it has none. Call it once the caller's permission is checked.
 * @throws Fault "bad-request"
 */
export const filterOf = (text: string | undefined): Filter | undefined =>
  text === undefined || text === "" ? undefined : compileFilter(text);

/** @throws Fault "bad-request" if a request has a filter that its method does not evaluate */
export function refuseFilter(text: string, method: string): void {
  if (text === "") return;
  const message = `${method} has no filters, ConsumeStream has`;
  throw new Fault("bad-request", { message, facts: { field: "filter" } });
}

/** The read shows what matches the filter, if there is one. */
export function filteredRead(
  read: OpenRead,
  filter: Filter | undefined,
  { clock, filterMs: msMax }: FilterOptions,
): OpenRead {
  if (filter === undefined) return read;
  const { recordsMax, endOffset } = read.limits;
  const filtered = new FilteredTail({ tail: read.tail, filter, clock, endOffset, recordsMax, msMax });
  return { ...read, tail: filtered, filtered };
}

/**
 * The same for a tail of several logs, with the text of its filter. The tail is disposed of if the filter is not valid.
 * @throws Fault "bad-request"
 */
export function filteredTail(
  tail: MultiTail,
  text: string | undefined,
  { clock, filterMs: msMax }: FilterOptions,
): MultiTail {
  try {
    const filter = filterOf(text);
    return filter === undefined ? tail : new FilteredLogsTail({ tail, filter, clock, msMax });
  } catch (reason) {
    tail[Symbol.dispose]();
    throw reason;
  }
}

/** The tail, if it has a filter. */
export const filteredOf = (tail: MultiTail): FilteredLogsTail | undefined =>
  tail instanceof FilteredLogsTail ? tail : undefined;
