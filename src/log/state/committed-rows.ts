/**
 * The committed rows of the named logs, of which only those that are in use are in memory:
 *
 *   dirty      changed after the last checkpoint began
 *   frozen     changed before, and being written to the database
 *   written    the rows of the last checkpoint, as they are in the database
 *   clean      the rows that were looked at last, as they are in the database
 *   database   all rows as of an index
 *
 * A row is looked up in this order. Rows that are frozen stay in memory until the database shows them here.
 */
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { errorCode, troubleOf } from "../../lib/disk/disk.ts";
import { compareNames } from "../../lib/names/name-order.ts";
import type { DueRow, OwnerChange, RowChange, RowDatabase, RowsHead } from "../../rows/mod.ts";
import type { LogId } from "../../types.ts";
import { diskFault } from "../segment/disk-fault.ts";
import type { LogRow } from "./log-row.ts";
import { Overlay } from "./overlay.ts";
import {
  decodedRow,
  decodeUsage,
  encodeRow,
  encodeUsage,
  forksKey,
  type LogUsage,
  usageKeys,
} from "./row-codec.ts";

/** Rows of the database that are kept in memory. */
const cleanMax = 16_384;
/** Rows of a checkpoint that are kept in memory after it. More are probably creates. */
const writtenMax = 32_768;
/** Names of the database that are kept in memory, with their ids. */
const namesMax = 65_536;
/** Names and due rows that are read from the database at once. */
const pageMax = 257;
/** Owners of the database that are kept in memory. */
const ownersMax = 4_096;
const noUsage: LogUsage = { logs: 0, bytes: 0 };
/** Names of the database that one page of names looks at. */
const looksMax = 1024;

const noRows: ReadonlyMap<LogId, LogRow | undefined> = new Map();

/** Names in the order of their bytes. */
export interface NamesPage {
  readonly names: readonly string[];
  /** The name after which the next page begins; undefined at the end. A page can be shorter than its limit and have a next one. */
  readonly next: string | undefined;
}

export class CommittedRows {
  #dirty = new Overlay();
  #frozen: Overlay | undefined;
  #database: RowDatabase | undefined;
  #written = noRows;
  /** The least recently used one comes first. */
  readonly #clean = new Map<LogId, LogRow>();
  /** Names as they are in the database, also of logs whose rows changed. The one that was looked up first comes first. */
  readonly #storedIds = new Map<string, LogId>();
  /** Sums as they are in the database. The oldest one comes first. */
  readonly #cleanOwners = new Map<string, LogUsage>();
  /** Sums with the frozen changes, as the checkpoint writes them. A second attempt writes the same. */
  readonly #frozenSums = new Map<string, LogUsage>();
  /** Called when the database turns out to be damaged. It can be built again. */
  onDamage: (() => void) | undefined;
  #isDamaged = false;

  constructor(database?: RowDatabase) {
    this.#database = database;
  }

  get database(): RowDatabase | undefined {
    return this.#database;
  }

  /** True once the database turned out to be damaged. What is in it is still read as far as it can be. */
  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  damaged(): void {
    this.#isDamaged = true;
    this.onDamage?.();
  }

  /** How many rows changed after the last checkpoint began. */
  get dirty(): number {
    return this.#dirty.rows.size;
  }

  /** How many rows are in memory because the database does not have them as they are. */
  get unsaved(): number {
    return this.#dirty.rows.size + (this.#frozen?.rows.size ?? 0);
  }

  /** What a start folds if the process ends now, and no checkpoint is under way: frames, and of them creates and deletes. */
  get toFold(): { readonly frames: number; readonly names: number } {
    return { frames: this.#dirty.frames, names: this.#dirty.names.size };
  }

  /** True while a checkpoint is being written. */
  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  row(id: LogId): LogRow | undefined {
    if (this.#dirty.rows.has(id)) return this.#dirty.rows.get(id);
    if (this.#frozen?.rows.has(id)) return this.#frozen.rows.get(id);
    const written = this.#written.get(id);
    if (written !== undefined) return written;
    const row = this.#clean.get(id) ?? this.#stored(id);
    return row === undefined ? undefined : this.#used(row);
  }

  /** As row(), for work that looks at many rows once: it does not displace rows that are in use from memory. */
  peek(id: LogId): LogRow | undefined {
    for (const { rows } of this.#overlays()) if (rows.has(id)) return rows.get(id);
    return this.#written.get(id) ?? this.#clean.get(id) ?? this.#stored(id);
  }

  named(name: string): LogRow | undefined {
    const id = this.idOf(name);
    return id === undefined ? undefined : this.row(id);
  }

  /** As peek(), by name. */
  peekNamed(name: string): LogRow | undefined {
    const changed = this.#overlays().find(({ names }) => names.has(name))?.names;
    const stored = (): LogId | undefined => this.#read((database) => database.named(name))?.id;
    const id = changed === undefined ? (this.#storedIds.get(name) ?? stored()) : changed.get(name);
    return id === undefined ? undefined : this.peek(id);
  }

  #stored(id: LogId): LogRow | undefined {
    return this.#read((database) => decodedRow(database.row(id)));
  }

  /** What the logs that this subject created use. @throws as #read() */
  usageOf(owner: string): LogUsage {
    return sum(this.#usageBelow(owner), this.#dirty.owners.get(owner));
  }

  /** How many logs were forked from this one. */
  forksOf(id: LogId): number {
    return this.usageOf(forksKey(id)).logs;
  }

  /** The usage without the changes after the last checkpoint began. */
  #usageBelow(owner: string): LogUsage {
    const frozen = this.#frozenSums.get(owner);
    return frozen ?? sum(this.#storedUsage(owner), this.#frozen?.owners.get(owner));
  }

  #storedUsage(owner: string): LogUsage {
    const known = this.#cleanOwners.get(owner);
    if (known !== undefined) return known;
    const stored = this.#read((database) => database.owner(owner));
    const found = stored === undefined ? noUsage : decodeUsage(stored);
    this.#keepOwner(owner, found);
    return found;
  }

  #keepOwner(owner: string, usage: LogUsage): void {
    this.#cleanOwners.set(owner, usage);
    if (this.#cleanOwners.size > ownersMax) this.#cleanOwners.delete(this.#cleanOwners.keys().next().value!);
  }

  /** Counts a row in place of the one before it. It reads nothing, so that a commit cannot fail in between. */
  #count(before: LogRow | undefined, after: LogRow | undefined): void {
    const row = after ?? before;
    if (row === undefined) return;
    const logs = Number(after !== undefined) - Number(before !== undefined);
    const bytes = (after?.bytes ?? 0) - (before?.bytes ?? 0);
    const { owners } = this.#dirty;
    for (const key of usageKeys(row)) owners.set(key, sum({ logs, bytes }, owners.get(key)));
  }

  /** The id of the committed log of this name. */
  idOf(name: string): LogId | undefined {
    if (this.#dirty.names.has(name)) return this.#dirty.names.get(name);
    if (this.#frozen?.names.has(name)) return this.#frozen.names.get(name);
    const known = this.#storedIds.get(name);
    if (known !== undefined) return known;
    const stored = this.#read((database) => database.named(name));
    if (stored === undefined) return undefined;
    this.#keepName(name, stored.id);
    // The name has no entry above, so the log was not deleted. Its row may have changed.
    if (!this.#dirty.rows.has(stored.id) && this.#frozen?.rows.has(stored.id) !== true)
      this.#used(decodedRow(stored)!);
    return stored.id;
  }

  /** At most `limit` names that begin with `prefix` and come after `after`, in the order of their bytes. */
  namesFrom(prefix: string, after: string, limit: number): NamesPage {
    const { names, next } = this.#storedNames(prefix, after, limit);
    const found = [...names];
    for (const overlay of this.#overlays()) found.push(...overlay.sorted.from(prefix, after).take(limit + 1));
    found.sort(compareNames);
    const kept = next === undefined ? found : found.filter((name) => compareNames(name, next) <= 0);
    return { names: kept.slice(0, limit), next: kept.length > limit ? kept[limit - 1] : next };
  }

  /**
   * Names of the database of which no overlay knows more. A call looks at a limited number of names: many of those in the
   * database can belong to logs that were deleted since.
   */
  #storedNames(prefix: string, after: string, limit: number): NamesPage {
    const names: string[] = [];
    let from = after;
    for (let looked = 0; looked < looksMax && names.length < limit; ) {
      const wanted = looked === 0 ? Math.min(limit, pageMax) : pageMax;
      const page = this.#read((database) => database.namesFrom(prefix, from, wanted)) ?? [];
      for (const name of page)
        if (!this.#overlays().some((overlay) => overlay.names.has(name))) names.push(name);
      if (page.length < wanted) return { names, next: undefined };
      from = page[page.length - 1]!;
      looked += page.length;
    }
    return { names, next: from };
  }

  /**
   * Yields the logs for which something may be due at `ms`, one after another, over a longer time: also those that are not due
   * but changed since the last checkpoint. Undefined stands for one that was passed over, so that the caller can limit the work
   * of a turn. A row that changes meanwhile may be missed, and one that comes meanwhile is left to the next call: it would make
   * the call endless if rows came faster than they are looked at.
   */
  *due(ms: number): Generator<LogId | undefined> {
    let after: DueRow | undefined;
    for (;;) {
      const place = after;
      const page = this.#read((database) => database.due(ms, place, pageMax)) ?? [];
      for (const { id } of page) yield this.#overlays().some(({ rows }) => rows.has(id)) ? undefined : id;
      if (page.length < pageMax) break;
      after = page[page.length - 1];
    }
    for (const { limited } of this.#overlays()) yield* limited.values().take(limited.size);
  }

  /**
   * The row of a log changed from `before` to `after`. `freesName`: a log that is deleted still has its name. Otherwise the name
   * stays with the log that has it by now.
   */
  put(id: LogId, before: LogRow | undefined, after: LogRow | undefined, freesName = true): void {
    if (before === undefined && after !== undefined) this.#setName(after.name, id);
    else if (before !== undefined && after === undefined && freesName) this.#setName(before.name, undefined);
    // The lookup of the name may have made the row before a clean one.
    this.#clean.delete(id);
    this.#dirty.put(id, after);
    this.#count(before, after);
  }

  #setName(name: string, id: LogId | undefined): void {
    this.#storedIds.delete(name);
    this.#dirty.setName(name, id);
    this.#frozen?.hideName(name);
  }

  /** Begins a checkpoint with the rows as they are now. There is none under way. */
  freeze(): void {
    assert(this.#frozen === undefined, "a checkpoint is under way");
    this.#frozen = this.#dirty;
    this.#dirty = new Overlay();
  }

  /** What the checkpoint changes in the database: owners, then rows by id. */
  *changes(): Generator<RowChange | OwnerChange> {
    if (this.#frozen === undefined) return;
    for (const owner of this.#frozen.owners.keys()) {
      const usage = this.#usageBelow(owner);
      this.#frozenSums.set(owner, usage);
      yield { owner, value: encodeUsage(usage) };
    }
    yield* rowsIn(this.#frozen);
  }

  /** The database shows the checkpoint here. Its rows are probably in use: they stay in memory, unless they are many. */
  thaw(database: RowDatabase): void {
    const { rows: written, owners } = this.#frozen ?? new Overlay();
    for (const owner of owners.keys()) this.#cleanOwners.delete(owner);
    for (const [owner, usage] of [...this.#frozenSums].slice(-ownersMax)) this.#keepOwner(owner, usage);
    this.#frozenSums.clear();
    this.#written = written.size > writtenMax ? noRows : written;
    this.#database = database;
    this.#frozen = undefined;
  }

  /**
   * Another database, with the rows as of the checkpoint under way, takes the place of a damaged one, which is returned for its
   * owner to close.
   */
  replaceDatabase(database: RowDatabase): RowDatabase | undefined {
    const before = this.#database;
    // What was read from the damaged one had right checksums, but is not needed.
    this.#frozenSums.clear();
    this.thaw(database);
    this.#clean.clear();
    this.#storedIds.clear();
    this.#cleanOwners.clear();
    this.#isDamaged = false;
    return before;
  }

  /**
   * Moves the rows that changed into a database at once, which is used from then on. For work on a log that no node serves yet.
   * If it fails, they stay here.
   */
  moveTo(database: RowDatabase, head: RowsHead): void {
    assert(this.#frozen === undefined, "a checkpoint is under way");
    database.writeNow(this.#dirtyChanges(), head);
    this.#database = database;
    this.#dirty = new Overlay();
    this.#cleanOwners.clear();
  }

  *#dirtyChanges(): Generator<RowChange | OwnerChange> {
    for (const owner of this.#dirty.owners.keys()) yield { owner, value: encodeUsage(this.usageOf(owner)) };
    yield* rowsIn(this.#dirty);
  }

  /** All rows, by id. For tests and for work on a log that no node serves. */
  *all(): Generator<LogRow> {
    const changed = [...new Set(this.#overlays().flatMap(({ rows }) => [...rows.keys()]))];
    const ids = Uint32Array.from(changed).sort();
    let next = 0;
    for (let afterId = -1; ; ) {
      const page = this.#read((database) => database.rowsAfter(afterId, pageMax)) ?? [];
      for (const { id, row: stored } of page) {
        while (next < ids.length && ids[next]! < id) yield* this.#changed(ids[next++]!);
        if (ids[next] === id) yield* this.#changed(ids[next++]!);
        else yield decodedRow(stored) ?? this.row(id)!;
      }
      if (page.length < pageMax) break;
      afterId = page[page.length - 1]!.id;
    }
    while (next < ids.length) yield* this.#changed(ids[next++]!);
  }

  *#changed(id: LogId): Generator<LogRow> {
    const row = this.row(id);
    if (row !== undefined) yield row;
  }

  /** @throws Fault "corrupt"; "disk-busy" or "disk-full" if it could not be read now */
  #read<T>(look: (database: RowDatabase) => T): T | undefined {
    if (this.#database === undefined) return undefined;
    try {
      return look(this.#database);
    } catch (reason) {
      const fault = notRead(reason);
      if (fault instanceof Fault && fault.kind === "corrupt") this.damaged();
      throw fault;
    }
  }

  /** The newest one first. */
  #overlays(): readonly Overlay[] {
    return this.#frozen === undefined ? [this.#dirty] : [this.#dirty, this.#frozen];
  }

  #used(row: LogRow): LogRow {
    this.#clean.delete(row.id);
    this.#clean.set(row.id, row);
    if (this.#clean.size > cleanMax) this.#clean.delete(this.#clean.keys().next().value!);
    return row;
  }

  #keepName(name: string, id: LogId): void {
    this.#storedIds.set(name, id);
    if (this.#storedIds.size > namesMax) this.#storedIds.delete(this.#storedIds.keys().next().value!);
  }
}

/** Returns what to throw if the disk does not read. Bytes that cannot be read are damage, like wrong bytes. */
function notRead(reason: unknown): unknown {
  const code = errorCode(reason);
  if (reason instanceof Fault || !/^E[A-Z]+$/.test(code)) return reason;
  // SQLite needs space for some reads: its files are sound.
  if (troubleOf(reason) !== "lost") return diskFault(reason);
  return new Fault("corrupt", {
    message: `the database of named logs cannot be read (${code}); the node builds it again in the background`,
    facts: { why: "unreadable" },
    cause: reason,
  });
}

function* rowsIn({ rows }: Overlay): Generator<RowChange> {
  for (const id of Uint32Array.from(rows.keys()).sort()) {
    const row = rows.get(id);
    yield { id, row: row === undefined ? undefined : encodeRow(row) };
  }
}

const sum = ({ logs, bytes }: LogUsage, more: LogUsage = noUsage): LogUsage => ({
  logs: logs + more.logs,
  bytes: bytes + more.bytes,
});
