/**
 * The rows of named logs on disk while a log runs: the checkpoints of the database, and the base, which follows the start of
 * the log.
 *
 *   checkpoint   a segment ends → the next one has a committed frame → the rows at the boundary are frozen and written
 *   removal      the frames of the first segments are folded onto the base → the new base is written → the catalog removes the
 *                segments and names the new base, in one transaction
 *
 * The rows at a boundary are committed, and the segment before it was synced when it ended. A boundary is never cut off once a
 * later frame is committed. So the database is never ahead of what is committed and synced here.
 */
import { Fault } from "../../fault.ts";
import { type Disk, troubleOf } from "../../lib/disk/disk.ts";
import { noLogger } from "../../lib/telemetry.ts";
import { type BaseSource, mergeBase, type RowDatabase, type RowStore } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import type { BaseRef, LogStart } from "../segment/catalog.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import { CommittedRows } from "../state/committed-rows.ts";
import type { LogTable } from "../state/log-table.ts";
import { emptyHead, encodeHead, type RowsAt, type TableHead } from "../state/row-codec.ts";
import { BaseCheck, type RowsDamage } from "./base-check.ts";
import { BaseDownload } from "./base-download.ts";
import { basePath, isBaseRef, loadBase, placeBase, removeOtherBases } from "./base-files.ts";
import { changesOf, foldBase } from "./base-fold.ts";
import { buildAtStart } from "./build-at-start.ts";
import { RemovalPace } from "./removal-pace.ts";
import type { RowPlace } from "./row-place.ts";
import { RowScrub } from "./row-scrub.ts";

const retryMs = 1000;
/** Other work runs after this time. */
const sliceMs = 3;

export interface LogRowsParts {
  readonly place: RowPlace;
  readonly set: SegmentSet;
  readonly table: () => LogTable;
  /** Called after segments were removed. */
  readonly removed: () => void;
  /** Returns the fault of a failed operation of the disk. */
  readonly faultOf: (reason: unknown) => Fault;
  readonly usable: () => boolean;
  readonly damage: RowsDamage;
  /** The database is checked in the background. It needs a clock. */
  readonly scrubs: boolean;
}

/** The files of the rows at a start that the log may be reset to. */
interface PreparedStart {
  readonly index: RaftIndex;
  readonly base: RaftIndex;
  readonly generation: number;
  readonly database: RowDatabase | undefined;
}

export class LogRows {
  readonly #parts: LogRowsParts;
  /** Bytes of the frames between the last checkpoint and the last boundary. */
  #foldBytes = 0;
  /** A checkpoint is due at the next boundary, whatever changed. */
  #wanted = false;
  /** What is frozen and not written yet. */
  #pending: RowsAt | undefined;
  #writing: Promise<void> | undefined;
  #removing: Promise<void> | undefined;
  readonly #pace: RemovalPace;
  /** The size of a base file. */
  #measured = { base: 0, bytes: 0 };
  #prepared: PreparedStart | undefined;
  /** The files of another start are being written: no checkpoint and no removal begins meanwhile. */
  #preparing = false;
  /** The database of a log that was replaced is being closed. */
  #dropping: Promise<void> | undefined;
  readonly #scrub: RowScrub | undefined;
  /** Fetches the base file of a leader. */
  readonly download: BaseDownload;
  readonly baseCheck: BaseCheck;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(parts: LogRowsParts) {
    this.#parts = parts;
    const { place, set, damage } = parts;
    this.#pace = new RemovalPace(place.clock);
    this.download = new BaseDownload(place, place.clock);
    this.baseCheck = new BaseCheck({ place, clock: place.clock, damage, current: () => set.rowFiles.base });
    this.#watch(parts.table().stored);
    const { clock, logger, store } = place;
    if (!parts.scrubs || clock === undefined || store === undefined) return;
    this.#scrub = new RowScrub({ clock, logger, rows: () => parts.table().stored });
  }

  /** A database that is damaged is built again by the next start. Until then it is used as far as it works. */
  #watch(rows: CommittedRows): void {
    rows.onDamage = () => {
      const { set, faultOf, damage } = this.#parts;
      rows.onDamage = undefined;
      if (rows.database !== undefined) damage.reportRows();
      try {
        set.saveGeneration(set.rowFiles.generation + 1);
      } catch (reason) {
        faultOf(reason);
      }
    };
  }

  /** Resolves once no checkpoint and no removal is under way, and after close() once everything is closed. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined || this.#removing !== undefined)
      await Promise.all([this.#writing, this.#removing]);
    await this.#closing;
  }

  /** A segment was sealed, and the next one began. */
  rolled(): void {
    const { place, set, table } = this.#parts;
    this.#foldBytes += set.sealed.at(-1)?.bytes ?? 0;
    if (place.store === undefined || table().stagedLevel === 0) return;
    if (this.#pending !== undefined) {
      this.#write();
      return;
    }
    if (!this.#wanted && !this.#isDue()) return;
    const { index, crc } = set.active!.meta.before;
    table().freezeAfter(index, (head) => {
      this.#pending = { index, crc, head };
      this.#foldBytes = 0;
      this.#wanted = false;
      this.#write();
    });
  }

  #isDue(): boolean {
    const { stored } = this.#parts.table();
    const { fewRows, rowsMax, namesMax, framesMax, bytesMax } = this.#parts.place.checkpoints;
    const { frames, names } = stored.toFold;
    if (stored.dirty <= fewRows) return true;
    return stored.dirty >= rowsMax || names >= namesMax || frames >= framesMax || this.#foldBytes >= bytesMax;
  }

  /**
   * Removes these segments, the first ones, once the base is that of the start after them. Returns false if no named log is in
   * them: then the caller removes them.
   */
  removes(segments: readonly SealedSegment[]): boolean {
    if (segments.length === 0 || this.#parts.table().level === 0) return false;
    this.#wantFrom(segments.at(-1)!.end.index);
    if (!segments.some(({ meta }) => meta.namesLogs !== false)) return false;
    const isBusy = this.#removing !== undefined || this.#preparing || this.#closed;
    if (!isBusy && this.baseCheck.fault === undefined && this.#pace.isDue(segments, this.#baseBytes()))
      this.#beginRemoval(segments);
    return true;
  }

  #beginRemoval(segments: readonly SealedSegment[]): void {
    const { base } = this.#parts.set.rowFiles;
    const begun = this.#remove(this.#pace.together(segments)).catch((reason: unknown) => {
      // A refusal is temporary. Damage keeps the segments, like that of a segment that cannot be read.
      this.baseCheck.failed(base, reason);
      if (!(reason instanceof Fault)) this.#parts.faultOf(reason);
    });
    this.#removing = begun.finally(() => (this.#removing = undefined));
  }

  /** A database that is older than the start of the log is not used by the next start: a checkpoint is due. */
  #wantFrom(start: RaftIndex): void {
    const { database } = this.#parts.table().stored;
    if (database !== undefined && database.head.index < start) this.#wanted = true;
  }

  #baseBytes(): number {
    const { place, set } = this.#parts;
    const { base } = set.rowFiles;
    if (base !== this.#measured.base)
      this.#measured = { base, bytes: base === 0 ? 0 : sizeOf(place.disk, basePath(place, base)) };
    return this.#measured.bytes;
  }

  /**
   * Writes the rows at a start that the log will be reset to, and builds their database. It waits for what is under way: a
   * removal deletes other base files, and a checkpoint can take the next generation.
   */
  async prepare(start: LogStart): Promise<void> {
    this.#preparing = true;
    try {
      await Promise.all([this.#writing, this.#removing, this.#dropping]);
      await this.#prepare(start);
    } finally {
      this.#preparing = false;
    }
  }

  async #prepare({ end, checkpoint, rows }: LogStart): Promise<void> {
    const { place, set } = this.#parts;
    const head = checkpoint.logs ?? emptyHead;
    await this.#prepared?.database?.close();
    this.#prepared = undefined;
    if (head.size === 0 || rows === undefined) return;
    const at = { index: end.index, crc: end.crc, head };
    const base = isBaseRef(rows) ? this.download.place(rows) : await placeBase(place, at, rows);
    const generation = set.rowFiles.generation + 1;
    const database = await buildAtStart(place, generation, base, at, (steps) => this.#inSlices(steps));
    this.#prepared = { index: end.index, base, generation, database };
  }

  /** The rows at a start that was prepared, and their files. @throws Fault "corrupt" */
  begin({ end, checkpoint }: LogStart): { rows: CommittedRows; files: SegmentSet["rowFiles"] } {
    const { place, set } = this.#parts;
    const { size } = checkpoint.logs ?? emptyHead;
    const prepared = this.#prepared?.index === end.index ? this.#prepared : undefined;
    this.#prepared = undefined;
    const { generation } = set.rowFiles;
    // No database of the log before is taken for one of the new log.
    const isFirst = generation === 0 && size === 0;
    const next = isFirst ? 0 : generation + 1;
    const files = { base: prepared?.base ?? 0, generation: prepared?.generation ?? next };
    const rows = new CommittedRows(prepared?.database);
    if (rows.database === undefined) loadBase(place, files.base, size, rows);
    this.#watch(rows);
    return { rows, files };
  }

  /** The base file of this log; undefined if there is none. */
  get base(): BaseRef | undefined {
    const file = this.openBase();
    if (file === undefined) return undefined;
    const bytes = file.size();
    file.close();
    return { index: this.#parts.set.rowFiles.base, bytes };
  }

  /** Opens the base file; undefined if there is none. The caller closes it. It stays readable when the log goes on. */
  openBase(): BaseSource | undefined {
    const { place, set } = this.#parts;
    const { base } = set.rowFiles;
    return base === 0 ? undefined : place.disk.open(basePath(place, base), "read");
  }

  /** The log was reset. `before` are the rows of the log before. */
  reset(before: CommittedRows): void {
    const { place, set } = this.#parts;
    this.#pending = undefined;
    this.#foldBytes = 0;
    this.baseCheck.replaced();
    this.download.used();
    // A read or a scrub of them may be under way, and fail.
    before.onDamage = undefined;
    this.#parts.damage.removeRows();
    this.#dropping = this.#drop(before.database);
    this.#removeBases(place, set.rowFiles.base);
  }

  /** A file that cannot be removed now is removed by a later removal, or when the log is opened. */
  #removeBases(place: RowPlace, base: RaftIndex): void {
    try {
      removeOtherBases(place, base, true);
    } catch (reason) {
      if (troubleOf(reason) === "lost") this.#parts.faultOf(reason);
    }
  }

  /** Ends what is under way. See settled(). */
  close(): void {
    this.#closed = true;
    this.#scrub?.close();
    this.#closing = this.#close(this.#parts.table().stored.database);
  }

  async #close(database: RowDatabase | undefined): Promise<void> {
    await Promise.all([this.#writing, this.#removing, this.#dropping]);
    await database?.close();
    await this.#prepared?.database?.close();
    await this.#parts.place.store?.close();
  }

  #write(): void {
    if (this.#pending === undefined || this.#writing !== undefined || this.#preparing || this.#closed) return;
    const at = this.#pending;
    const { place, table } = this.#parts;
    const { stored } = table();
    const begun = this.#checkpoint(at, stored).catch((reason: unknown) => {
      if (reason instanceof Fault && reason.kind === "corrupt") {
        // A retry would fail in the same way. The end of the next segment tries once more.
        stored.damaged();
        return;
      }
      (place.logger ?? noLogger).warn({ err: reason }, "the rows of named logs could not be written");
      place.clock?.after(retryMs, () => this.#write());
    });
    this.#writing = begun.finally(() => (this.#writing = undefined));
  }

  async #checkpoint(at: RowsAt, rows: CommittedRows): Promise<void> {
    const { set } = this.#parts;
    const isNew = rows.database === undefined;
    const generation = set.rowFiles.generation + (isNew ? 1 : 0);
    const database = rows.database ?? (await this.#create(generation));
    let isShown = false;
    try {
      await database.write(rows.changes(), encodeHead(at));
      if (this.#pending !== at || this.#closed) return;
      if (isNew) set.saveGeneration(generation);
      rows.thaw(database);
      isShown = true;
    } finally {
      if (isNew && !isShown) await database.close();
    }
    this.#pending = undefined;
    this.#removeOthers(generation);
  }

  #create(generation: number): Promise<RowDatabase> {
    const { store, directoryId } = this.#parts.place;
    const nothing = encodeHead({ index: 0, crc: 0, head: emptyHead });
    return store!.build({ directoryId, generation }, nothing);
  }

  async #drop(database: RowDatabase | undefined): Promise<void> {
    await this.#writing;
    await database?.close();
    this.#removeOthers(this.#parts.set.rowFiles.generation);
  }

  /**
   * Removes the databases of other generations. One that cannot be removed is removed later. A damaged one is in use until the
   * next start, although the catalog has the next generation.
   */
  #removeOthers(generation: number): void {
    const { place, table } = this.#parts;
    const { store } = place;
    const used = [generation, this.#prepared?.generation, table().stored.database?.generation];
    try {
      for (const other of store?.generations() ?? []) if (!used.includes(other)) store?.remove(other);
    } catch (reason) {
      if (troubleOf(reason) === "lost") this.#parts.faultOf(reason);
    }
  }

  async #remove(segments: readonly SealedSegment[]): Promise<void> {
    const { place, set, removed, usable } = this.#parts;
    const { base } = set.rowFiles;
    const { end } = segments[segments.length - 1]!;
    const changes = await this.#inSlices(foldBase(place, base, segments));
    const head: TableHead = set.headAfter(end.index);
    let next = base;
    if (head.size === 0) next = 0;
    else if (changes.size > 0) {
      next = end.index;
      const from = base === 0 ? undefined : basePath(place, base);
      await this.#merge(from, basePath(place, next), changesOf(changes), encodeHead({ ...end, head }));
    }
    const isCurrent = segments.every((segment, k) => set.sealed[k] === segment) && set.rowFiles.base === base;
    if (!isCurrent || this.#closed || !usable()) return;
    this.#wantFrom(end.index);
    set.removeFirst(segments.length, next);
    if (next !== base) this.#removeBases(place, next);
    removed();
  }

  async #merge(...merge: Parameters<RowStore["mergeBase"]>): Promise<void> {
    const { disk, store } = this.#parts.place;
    if (store !== undefined) return store.mergeBase(...merge);
    await this.#inSlices(mergeBase(disk, ...merge));
  }

  /** Runs the steps, and lets other work run in between if there is a clock. */
  async #inSlices<T>(steps: Generator<void, T>): Promise<T> {
    const { clock } = this.#parts.place;
    for (;;) {
      const untilMs = clock === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() + sliceMs;
      do {
        const step = steps.next();
        if (step.done === true) return step.value;
      } while (clock === undefined || clock.monotonicMs() < untilMs);
      const { promise, resolve } = Promise.withResolvers<void>();
      clock.soon(resolve);
      await promise;
    }
  }
}

function sizeOf(disk: Disk, path: string): number {
  const file = disk.open(path, "read");
  try {
    return file.size();
  } finally {
    file.close();
  }
}
