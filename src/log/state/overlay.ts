/**
 * Rows that changed since the database of rows was written. Pure.
 *
 * An entry is the row after its last change; undefined if the log was deleted. Names have an entry only if a log of that name
 * was created or deleted: undefined if there is none of that name any more.
 */
import type { LogId } from "../../types.ts";
import type { LogRow } from "./log-row.ts";
import { dueMsOf } from "./row-codec.ts";
import { SortedNames } from "./sorted-names.ts";

export class Overlay {
  readonly rows = new Map<LogId, LogRow | undefined>();
  readonly names = new Map<string, LogId | undefined>();
  /** The rows for which something will be due, if they stay as they are. */
  readonly limited = new Set<LogId>();
  /** The names that have an entry. */
  readonly sorted = new SortedNames([]);

  put(id: LogId, row: LogRow | undefined): void {
    this.rows.set(id, row);
    if (row !== undefined && dueMsOf(row) !== undefined) this.limited.add(id);
    else this.limited.delete(id);
  }

  setName(name: string, id: LogId | undefined): void {
    if (!this.names.has(name)) this.sorted.add(name);
    this.names.set(name, id);
  }
}
