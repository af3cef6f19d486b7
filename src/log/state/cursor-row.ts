/**
 * What the row of a cursor says: a row of the table of named logs that holds no records. Pure.
 *
 *   name := U+0001 "cursor/" log-id "/" cursor-name        no log has a name with a control character
 *
 * `createdMs` is the time of its first commit, `lastMs` of its last one, and `version` the Raft index of that.
 */
import type { LogId, Offset } from "../../types.ts";

/** What the row of a cursor has beside the fields of all rows. */
export interface CursorState {
  /** The log whose records it is about; 0: `default`. */
  readonly log: LogId;
  /** The next offset that its consumer wants. */
  readonly offset: Offset;
  readonly metadata?: string;
}

/** The names of the rows of all cursors begin with this. */
export const everyCursorPrefix = "\u0001cursor/";
/** The names of logs come after this one, the names of cursors before it. */
export const beforeLogNames = "\u0001\u{10ffff}";

/** The names of the rows of the cursors of a log begin with this. */
export const cursorPrefix = (log: LogId): string => `${everyCursorPrefix}${log}/`;

/** The name of the row of a cursor. */
export const cursorRowName = (log: LogId, name: string): string => `${cursorPrefix(log)}${name}`;

/** The name of the cursor in the name of its row. */
export const cursorNameIn = ({
  name,
  cursor,
}: {
  readonly name: string;
  readonly cursor: CursorState;
}): string => name.slice(cursorPrefix(cursor.log).length);

/** The name of a log, or which cursor has this name of a row. */
export function rowLabel<Name extends string | undefined>(name: Name): Name | string {
  if (name?.startsWith(everyCursorPrefix) !== true) return name;
  const [, log, ...cursor] = name.split("/");
  return `cursor "${cursor.join("/")}" of ${log === "0" ? 'log "default"' : `the log of id ${log}`}`;
}

/** A cursor without a commit for so long is deleted. */
const cursorIdleMs = 30 * 24 * 3_600_000;

/** When a cursor is deleted, in ms since 1970, if nothing is committed until then. */
export const cursorOverMs = ({ lastMs }: { readonly lastMs: number }): number => lastMs + cursorIdleMs;
