/**
 * Reads a log from a cursor on, and commits it: `for await (const record of log.consume({ cursor: "billing" }))`. A record is
 * done when the reader asks for the next one. So after a crash some records come again, and none is missed: at least once.
 */
import type { Clock } from "../../lib/time/clock.ts";
import type { CommitLog } from "../../types.ts";
import { type ConsumeOptions, consume } from "../consume/consume.ts";
import { readStartOf } from "../consume/read-from.ts";
import type { LogRecord } from "../consume/record-batch.ts";
import { CursorCommits } from "./cursor-commits.ts";
import type { LogCursor } from "./log-cursor.ts";

export interface CursorConsumeOptions extends ConsumeOptions {
  /**
   * The name of a cursor of the log: begin at it, and commit what the reader has done. `from`, by default "start", is where to
   * begin if there is no such cursor. Default: none.
   */
  readonly cursor?: string | undefined;
  /** How long to wait between two commits, in milliseconds. Default 1,000. */
  readonly commitEveryMs?: number | undefined;
}

/** Default interval of commits, in milliseconds. */
export const commitEveryMsDefault = 1_000;

/**
 * Yields the records as consume() does.
 * @throws as consume(), and the fault of a commit: "failed-precondition" if another reader moved the cursor
 */
export async function* consumeCursor(
  log: CommitLog,
  cursor: LogCursor,
  clock: Clock,
  options: CursorConsumeOptions,
): AsyncGenerator<LogRecord, void, undefined> {
  const { commitEveryMs: everyMs = commitEveryMsDefault, signal } = options;
  const found = await cursor.get({ signal });
  const freshness = { ...options.freshness, ...(signal === undefined ? {} : { signal }) };
  const from = found?.offset ?? (await log.seek(readStartOf(options.from ?? "start"), freshness));
  const commits = new CursorCommits(from, { cursor, clock, everyMs, found });
  try {
    for await (const record of consume(log, { ...options, from })) {
      yield record;
      commits.done(record.offset + 1);
    }
  } finally {
    await commits.close();
  }
}
