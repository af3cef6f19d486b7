/**
 * Writes the database of rows while a log runs.
 *
 *   a segment ends → the next one has a committed frame → the rows at the boundary are frozen and written
 *
 * The rows at a boundary are committed, and the segment before it was synced when it ended. A boundary is never cut off once a
 * later frame is committed. So the database is never ahead of what is committed and synced here.
 *
 * A database that turns out to be damaged is used as far as it works, until another one was built as of the next boundary. If the
 * process ends before that, the next start builds one.
 */
import { Fault } from "../../fault.ts";
import { DiskUncertain, errorCode } from "../../lib/disk/disk.ts";
import { noLogger } from "../../lib/telemetry.ts";
import type { RowDatabase } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import type { CommittedRows } from "../state/committed-rows.ts";
import type { LogTable } from "../state/log-table.ts";
import { emptyHead, encodeHead, type RowsAt } from "../state/row-codec.ts";
import type { RowsDamage } from "./base-check.ts";
import type { InSlices } from "./owner-usage.ts";
import { rebuildDatabase } from "./rebuild-database.ts";
import type { RowPlace } from "./row-place.ts";

const retryMs = 1000;
/** Reads the log since its start again. */
const rebuildAgainMs = 60_000;
/** Without a usable database, so many times `rowsMax` rows may be in memory: by default 524,288, about 256 MiB. */
const unsavedCheckpoints = 32;

export interface CheckpointWriterParts {
  readonly place: RowPlace;
  readonly set: SegmentSet;
  readonly table: () => LogTable;
  /** Returns the fault of a failed operation of the disk. */
  readonly faultOf: (reason: unknown) => Fault;
  readonly damage: RowsDamage;
  readonly inSlices: InSlices;
  /** False while the log is about to be reset: the files of the other start can have the next generation. */
  readonly mayWrite: () => boolean;
  /** The generation of a database that the log will use after a reset. */
  readonly preparedGeneration: () => number | undefined;
  /** Resolves when no removal of segments is under way. */
  readonly removed: () => Promise<void> | undefined;
}

export class CheckpointWriter {
  readonly #parts: CheckpointWriterParts;
  /** Bytes of the frames between the last checkpoint and the last boundary. */
  #foldBytes = 0;
  /** A checkpoint is due at the next boundary, whatever changed. */
  #wanted = false;
  /** What is frozen and not written yet. */
  #pending: RowsAt | undefined;
  #writing: Promise<void> | undefined;
  #isRebuilding = false;
  /** On the monotonic clock: the next attempt to build the database again begins then. */
  #rebuildFromMs = 0;
  /** Why a damaged database cannot be built again. */
  #unrepairable: Fault | undefined;
  #closed = false;

  constructor(parts: CheckpointWriterParts) {
    this.#parts = parts;
  }

  /** Resolves when the write that is under way has ended. */
  get writing(): Promise<void> | undefined {
    return this.#writing;
  }

  /** A damaged database is being built again from the base and the segments: none of them may be removed. */
  get isRebuilding(): boolean {
    return this.#isRebuilding;
  }

  /** The boundary of the checkpoint that is not written yet. The base must not be later. */
  get pendingIndex(): RaftIndex | undefined {
    return this.#pending?.index;
  }

  /** Acts when the database of these rows turns out to be damaged. */
  watch(rows: CommittedRows): void {
    rows.onDamage = () => {
      const { set, faultOf, damage } = this.#parts;
      rows.onDamage = undefined;
      this.#wanted = true;
      if (rows.database !== undefined) damage.reportRows();
      try {
        set.saveGeneration(set.rowFiles.generation + 1);
      } catch (reason) {
        faultOf(reason);
      }
    };
  }

  /** A segment was sealed, and the next one began. */
  rolled(): void {
    const { place, set, table } = this.#parts;
    this.#foldBytes += set.sealed.at(-1)?.bytes ?? 0;
    if (place.store === undefined || table().stagedLevel === 0) return;
    if (this.#pending !== undefined) {
      this.write();
      this.#stopIfMany(table().stored);
      return;
    }
    if (!this.#wanted && !this.#isDue()) return;
    const { index, crc } = set.active!.meta.before;
    table().freezeAfter(index, (head) => {
      this.#pending = { index, crc, head };
      this.#foldBytes = 0;
      this.#wanted = false;
      this.write();
    });
  }

  /** A database that is older than the start of the log is not used by the next start: a checkpoint is due. */
  wantFrom(start: RaftIndex): void {
    const { database } = this.#parts.table().stored;
    if (database !== undefined && database.head.index < start) this.#wanted = true;
  }

  /** Writes what is frozen, unless a write is under way. */
  write(): void {
    const at = this.#pending;
    if (at === undefined || this.#writing !== undefined || this.#closed || !this.#parts.mayWrite()) return;
    const { stored } = this.#parts.table();
    if (stored.isDamaged && (this.#unrepairable !== undefined || this.#nowMs() < this.#rebuildFromMs)) return;
    const begun = stored.isDamaged ? this.#rebuild(at, stored) : this.#checkpoint(at, stored);
    this.#writing = begun.finally(() => (this.#writing = undefined));
  }

  /** The log was reset. */
  reset(): void {
    this.#pending = undefined;
    this.#foldBytes = 0;
    this.#wanted = false;
    this.#unrepairable = undefined;
  }

  close(): void {
    this.#closed = true;
  }

  /**
   * Removes the databases of other generations than this one. One that cannot be removed is removed later. A damaged one can be in
   * use although the catalog has the next generation.
   */
  removeOthers(generation: number): void {
    const { place, table, preparedGeneration, faultOf } = this.#parts;
    const { store } = place;
    const used = [generation, preparedGeneration(), table().stored.database?.generation];
    const failed = (reason: unknown): void => {
      if (!(reason instanceof Fault) && errorCode(reason) === "") faultOf(reason);
    };
    try {
      for (const other of store?.generations() ?? [])
        if (!used.includes(other)) void store?.remove(other).catch(failed);
    } catch (reason) {
      failed(reason);
    }
  }

  #isDue(): boolean {
    const { stored } = this.#parts.table();
    const { fewRows, rowsMax, namesMax, framesMax, bytesMax } = this.#parts.place.checkpoints;
    const { frames, names } = stored.toFold;
    if (stored.dirty <= fewRows) return true;
    return stored.dirty >= rowsMax || names >= namesMax || frames >= framesMax || this.#foldBytes >= bytesMax;
  }

  async #checkpoint(at: RowsAt, rows: CommittedRows): Promise<void> {
    try {
      await this.#writeTo(at, rows);
    } catch (reason) {
      const isDamage = reason instanceof Fault && reason.kind === "corrupt";
      // After a failed sync the database takes no more writes.
      if (isDamage || reason instanceof DiskUncertain) {
        // A retry would fail in the same way.
        rows.damaged();
        this.#again(retryMs);
        return;
      }
      this.#warn(reason, "the rows of named logs could not be written");
      this.#again(retryMs);
    }
  }

  async #writeTo(at: RowsAt, rows: CommittedRows): Promise<void> {
    const { set } = this.#parts;
    const isNew = rows.database === undefined;
    const generation = set.rowFiles.generation + (isNew ? 1 : 0);
    const database = rows.database ?? (await this.#create(generation));
    let isShown = false;
    try {
      await database.write(rows.changes(), encodeHead(at));
      if (this.#pending !== at || this.#closed) return;
      if (isNew) this.#saveGeneration(generation);
      rows.thaw(database);
      isShown = true;
    } finally {
      if (isNew && !isShown) await database.close();
    }
    this.#pending = undefined;
    this.removeOthers(generation);
  }

  /** @throws the fault of the catalog: it is not that of a database, and the log has failed if bytes may be lost */
  #saveGeneration(generation: number): void {
    const { set, faultOf } = this.#parts;
    try {
      set.saveGeneration(generation);
    } catch (reason) {
      throw faultOf(reason);
    }
  }

  #create(generation: number): Promise<RowDatabase> {
    const { store, directoryId } = this.#parts.place;
    const nothing = encodeHead({ index: 0, crc: 0, head: emptyHead });
    return store!.build({ directoryId, generation }, nothing);
  }

  /** Builds another database as of the checkpoint, in place of a damaged one. */
  async #rebuild(at: RowsAt, rows: CommittedRows): Promise<void> {
    this.#isRebuilding = true;
    try {
      await this.#parts.removed();
      await this.#replace(at, rows);
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "corrupt") {
        this.#unrepairable = reason;
        this.#error(
          reason,
          "the database of named logs cannot be built again: its base or a segment is damaged",
        );
        return;
      }
      this.#warn(reason, "the database of named logs could not be built again");
      this.#rebuildFromMs = this.#nowMs() + rebuildAgainMs;
      this.#again(rebuildAgainMs);
    } finally {
      this.#isRebuilding = false;
    }
  }

  async #replace(at: RowsAt, rows: CommittedRows): Promise<void> {
    const { place, set, inSlices, mayWrite, damage } = this.#parts;
    const goesOn = (): boolean => this.#pending === at && !this.#closed && mayWrite();
    const generation = set.rowFiles.generation + 1;
    const database = await rebuildDatabase({ place, set, inSlices, goesOn }, generation, at);
    if (database === undefined) return;
    let before: RowDatabase | undefined;
    try {
      // The log may have been reset while the database was closed up.
      if (!goesOn()) return await database.close();
      this.#saveGeneration(generation);
      before = rows.replaceDatabase(database);
    } catch (reason) {
      await database.close();
      throw reason;
    }
    this.watch(rows);
    this.#pending = undefined;
    damage.removeRows();
    (place.logger ?? noLogger).warn({ generation }, "the database of named logs was built again");
    await before?.close();
    this.removeOthers(generation);
  }

  /** A node that cannot build its database again has all later changes in memory. It stops before that is too much. */
  #stopIfMany(rows: CommittedRows): void {
    const { place, faultOf } = this.#parts;
    const isMany = rows.unsaved > unsavedCheckpoints * place.checkpoints.rowsMax;
    if (isMany && this.#unrepairable !== undefined) faultOf(this.#unrepairable);
  }

  #nowMs(): number {
    return this.#parts.place.clock?.monotonicMs() ?? Number.POSITIVE_INFINITY;
  }

  #again(delayMs: number): void {
    this.#parts.place.clock?.after(delayMs, () => {
      // A timer can fire up to a millisecond early.
      this.#rebuildFromMs = 0;
      this.write();
    });
  }

  #warn(err: unknown, message: string): void {
    (this.#parts.place.logger ?? noLogger).warn({ err }, message);
  }

  #error(err: unknown, message: string): void {
    (this.#parts.place.logger ?? noLogger).error({ err }, message);
  }
}
