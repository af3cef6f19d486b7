/**
 * Rows that changed since the database of rows was written. Pure.
 *
 * An entry is the row after its last change; undefined if the log was deleted. Names have an entry only if a log of that name
 * was created or deleted: undefined if there is none of that name any more.
 */
import type { LogId } from "../../types.ts";
import type { LogRow } from "./log-row.ts";
import { dueMsOf, type LogUsage } from "./row-codec.ts";
import { SortedNames } from "./sorted-names.ts";

export class Overlay {
  readonly rows = new Map<LogId, LogRow | undefined>();
  readonly names = new Map<string, LogId | undefined>();
  /** The rows for which something will be due, if they stay as they are. */
  readonly limited = new Set<LogId>();
  /** The names of logs that are there, for lists. */
  readonly sorted = new SortedNames();
  /** By how much the usage of each owner changed. */
  readonly owners = new Map<string, LogUsage>();
  /** How many frames made these changes. */
  frames = 0;

  put(id: LogId, row: LogRow | undefined): void {
    this.frames++;
    this.rows.set(id, row);
    if (row !== undefined && dueMsOf(row) !== undefined) this.limited.add(id);
    else this.limited.delete(id);
  }

  setName(name: string, id: LogId | undefined): void {
    const known = this.names.get(name);
    if (known === undefined && id !== undefined) this.sorted.add(name);
    else if (known !== undefined && id === undefined) this.sorted.remove(name);
    this.names.set(name, id);
  }

  /** A newer overlay has an entry for the name: lists take it from there. */
  hideName(name: string): void {
    if (this.names.get(name) !== undefined) this.sorted.remove(name);
  }
}
