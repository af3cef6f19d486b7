/**
 * The committed rows of the named logs, of which only those that are in use are in memory:
 *
 *   dirty      changed after the last checkpoint began
 *   frozen     changed before, and being written to the database
 *   clean      the rows that were looked at last, as they are in the database
 *   database   all rows as of an index
 *
 * A row is looked up in this order. Rows that are frozen stay in memory until the database shows them here.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { compareNames } from "../../lib/name-order.ts";
import type { DueRow, RowChange, RowDatabase } from "../../rows/mod.ts";
import type { LogId } from "../../types.ts";
import type { LogRow } from "./log-row.ts";
import { Overlay } from "./overlay.ts";
import { decodeRow, encodeRow } from "./row-codec.ts";

/** Rows of the database that are kept in memory. */
const cleanMax = 16_384;
/** Names and due rows that are read from the database at once. */
const pageMax = 257;

export class CommittedRows {
  #dirty = new Overlay();
  #frozen: Overlay | undefined;
  #database: RowDatabase | undefined;
  /** The least recently used one comes first. */
  readonly #clean = new Map<LogId, LogRow>();
  readonly #cleanNames = new Map<string, LogId>();
  /** Called when the database turns out to be damaged. It can be built again. */
  onDamage: (() => void) | undefined;

  constructor(database?: RowDatabase) {
    this.#database = database;
  }

  get database(): RowDatabase | undefined {
    return this.#database;
  }

  /** How many rows changed after the last checkpoint began. */
  get dirty(): number {
    return this.#dirty.rows.size;
  }

  /** True while a checkpoint is being written. */
  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  row(id: LogId): LogRow | undefined {
    if (this.#dirty.rows.has(id)) return this.#dirty.rows.get(id);
    if (this.#frozen?.rows.has(id)) return this.#frozen.rows.get(id);
    const clean = this.#clean.get(id);
    if (clean !== undefined) return this.#used(clean);
    return this.#read((database) => {
      const stored = database.row(id);
      return stored === undefined ? undefined : this.#used(decodeRow(stored));
    });
  }

  named(name: string): LogRow | undefined {
    const id = this.#idOf(name);
    return id === undefined ? undefined : this.row(id);
  }

  #idOf(name: string): LogId | undefined {
    if (this.#dirty.names.has(name)) return this.#dirty.names.get(name);
    if (this.#frozen?.names.has(name)) return this.#frozen.names.get(name);
    const known = this.#cleanNames.get(name);
    if (known !== undefined) return known;
    const stored = this.#read((database) => database.named(name));
    if (stored === undefined) return undefined;
    // The name has no entry above, so the log was not deleted. Its row may have changed.
    if (!this.#dirty.rows.has(stored.id) && this.#frozen?.rows.has(stored.id) !== true)
      this.#used(decodeRow(stored));
    return stored.id;
  }

  /** At most `limit` names that begin with `prefix` and come after `after`, in the order of their bytes. */
  namesFrom(prefix: string, after: string, limit: number): readonly string[] {
    const found = new Set<string>();
    for (const overlay of this.#overlays()) {
      let taken = 0;
      for (const name of overlay.sorted.from(prefix, after)) {
        if (taken === limit) break;
        if (this.named(name) === undefined) continue;
        found.add(name);
        taken++;
      }
    }
    for (const name of this.#storedNames(prefix, after, limit)) found.add(name);
    return [...found].sort(compareNames).slice(0, limit);
  }

  /** At most `limit` names of the database of which no overlay knows more. */
  #storedNames(prefix: string, after: string, limit: number): readonly string[] {
    const found: string[] = [];
    for (let from = after; found.length < limit; ) {
      const page = this.#read((database) => database.namesFrom(prefix, from, pageMax)) ?? [];
      for (const name of page) if (!this.#overlays().some(({ names }) => names.has(name))) found.push(name);
      if (page.length < pageMax) break;
      from = page[page.length - 1]!;
    }
    return found.slice(0, limit);
  }

  /**
   * Yields the logs for which something may be due at `ms`, one after another, over a longer time: also those that are not due
   * but changed since the last checkpoint. A row that changes meanwhile may be missed.
   */
  *due(ms: number): Generator<LogId> {
    let after: DueRow | undefined;
    for (;;) {
      const place = after;
      const page = this.#read((database) => database.due(ms, place, pageMax)) ?? [];
      for (const { id } of page) if (!this.#overlays().some(({ rows }) => rows.has(id))) yield id;
      if (page.length < pageMax) break;
      after = page[page.length - 1];
    }
    for (const overlay of this.#overlays()) yield* overlay.limited;
  }

  /** The row of a log changed from `before` to `after`. A name that another log has by now stays with that log. */
  put(id: LogId, before: LogRow | undefined, after: LogRow | undefined): void {
    if (before === undefined && after !== undefined) this.#dirty.setName(after.name, id);
    else if (before !== undefined && after === undefined && this.named(before.name)?.id === id)
      this.#dirty.setName(before.name, undefined);
    // The lookup of the name may have made the row before a clean one.
    const stale = this.#clean.get(id);
    if (stale !== undefined) this.#forget(stale);
    this.#dirty.put(id, after);
  }

  /** Begins a checkpoint with the rows as they are now. There is none under way. */
  freeze(): void {
    assert(this.#frozen === undefined, "a checkpoint is under way");
    this.#frozen = this.#dirty;
    this.#dirty = new Overlay();
  }

  /** What the checkpoint changes in the database, by id. */
  *changes(): Generator<RowChange> {
    const rows = this.#frozen?.rows ?? new Map<LogId, LogRow | undefined>();
    for (const id of Uint32Array.from(rows.keys()).sort()) {
      const row = rows.get(id);
      yield { id, row: row === undefined ? undefined : encodeRow(row) };
    }
  }

  /** The database shows the checkpoint here. */
  thaw(database: RowDatabase): void {
    this.#database = database;
    this.#frozen = undefined;
  }

  /** All rows, in no order. For tests and for work on a log that no node serves. */
  *all(): Generator<LogRow> {
    let after = "";
    for (;;) {
      const page = this.#database?.namesFrom("", after, pageMax) ?? [];
      for (const name of page) {
        const id = this.#database!.named(name)!.id;
        if (!this.#overlays().some(({ rows }) => rows.has(id))) yield this.row(id)!;
      }
      if (page.length < pageMax) break;
      after = page[page.length - 1]!;
    }
    for (const overlay of this.#overlays()) {
      for (const [id, row] of overlay.rows) {
        const isOlder = overlay !== this.#dirty && this.#dirty.rows.has(id);
        if (row !== undefined && !isOlder) yield row;
      }
    }
  }

  /** @throws Fault "corrupt" */
  #read<T>(look: (database: RowDatabase) => T): T | undefined {
    if (this.#database === undefined) return undefined;
    try {
      return look(this.#database);
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "corrupt") this.onDamage?.();
      throw reason;
    }
  }

  /** The newest one first. */
  #overlays(): readonly Overlay[] {
    return this.#frozen === undefined ? [this.#dirty] : [this.#dirty, this.#frozen];
  }

  #used(row: LogRow): LogRow {
    this.#clean.delete(row.id);
    this.#clean.set(row.id, row);
    this.#cleanNames.set(row.name, row.id);
    if (this.#clean.size > cleanMax) this.#forget(this.#clean.values().next().value!);
    return row;
  }

  #forget({ id, name }: LogRow): void {
    this.#clean.delete(id);
    this.#cleanNames.delete(name);
  }
}
