/** Reads the records that match a filter, which the nodes evaluate. */
import { Fault } from "../../fault.ts";
import type { CommitLog, Offset } from "../../types.ts";
import type { FilteredTail, FilterPosition } from "./filtered-tail.ts";
import type { LogRecord } from "./record-batch.ts";

export interface FilterOptions {
  /** A condition in CEL: only records for which it holds are returned. The nodes evaluate it. Default: all records. */
  readonly filter?: string;
  /** With a filter: called at least once a second with how far the read is, between records. */
  readonly onPosition?: (position: FilterPosition) => void;
}

/** A log of nodes that evaluate filters. */
export interface FilteringLog {
  followFiltered(from: Offset, filter: string, until: Offset | undefined): FilteredTail;
}

interface FilteredRange {
  readonly from: Offset;
  readonly until: Offset | undefined;
  readonly signal: AbortSignal | undefined;
}

export const filteringLog = (log: CommitLog & Partial<FilteringLog>): FilteringLog => {
  if (log.followFiltered !== undefined) return log as FilteringLog;
  throw new Fault("unimplemented", { message: "this log has no filters" });
};

/** @throws as consume(), and Fault "unimplemented" if the node does not know filters */
export async function* consumeFiltered(
  log: FilteringLog,
  { from, until, signal }: FilteredRange,
  { filter = "", onPosition }: FilterOptions,
): AsyncGenerator<LogRecord, void, undefined> {
  const tail = log.followFiltered(from, filter, until);
  const stop = (): void => tail[Symbol.dispose]();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      signal?.throwIfAborted();
      const item = await tail.take();
      signal?.throwIfAborted();
      if (item === undefined) return;
      if ("value" in item) yield item;
      else onPosition?.(item);
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

/** @throws Fault "bad-request" unless both are valid */
export function checkFilter({ filter, onPosition }: FilterOptions): void {
  if (filter !== undefined && (typeof filter !== "string" || filter === ""))
    throw new Fault("bad-request", {
      message: "filter must be a text, and not empty",
      facts: { field: "filter" },
    });
  if (onPosition !== undefined && filter === undefined)
    throw new Fault("bad-request", { message: "onPosition needs a filter", facts: { field: "onPosition" } });
}
