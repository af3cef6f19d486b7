/** What a command about a log has left of it. */
import type { LogRow, LogTable } from "../../../log/mod.ts";
import type { LogId } from "../../../types.ts";
import { deletedSince } from "../log-refusals.ts";

/** The row that a command about a log has left. @throws Fault "not-found", written "unknown", if the log was deleted since */
export function committedRow(table: Pick<LogTable, "row">, id: LogId, name: string): LogRow {
  const row = table.row(id);
  if (row === undefined) throw deletedSince(name);
  return row;
}
