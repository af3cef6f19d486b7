/**
 * The rows of named logs on disk while a log runs: the checkpoints of the database (see CheckpointWriter), and the base, which
 * follows the start of the log.
 *
 *   removal      the frames of the first segments are folded onto the base → the new base is written → the catalog removes the
 *                segments and names the new base, in one transaction
 */
import { Fault } from "../../fault.ts";
import { errorCode, troubleOf } from "../../lib/disk/disk.ts";
import { noLogger } from "../../lib/telemetry.ts";
import { inSlices } from "../../lib/time/in-slices.ts";
import { type BaseSource, mergeBase, type RowDatabase, type RowStore } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { type OpenedStart, openStart } from "../producers/opened-start.ts";
import { ProducerCheckpoints } from "../producers/producer-checkpoints.ts";
import { prepareProducers, removeOtherStarts, type StartProducers } from "../producers/start-producers.ts";
import type { BaseRef, LogStart } from "../segment/catalog.ts";
import { diskFault } from "../segment/disk-fault.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import { CommittedRows } from "../state/committed-rows.ts";
import type { LogState } from "../state/log-state.ts";
import type { LogTable } from "../state/log-table.ts";
import { emptyHead, encodeHead, type TableHead } from "../state/row-codec.ts";
import { BaseCheck, type RowsDamage } from "./base-check.ts";
import { BaseDownload } from "./base-download.ts";
import { basePath, isBaseRef, loadBase, openBaseSource, placeBase, removeOtherBases } from "./base-files.ts";
import { changesOf, foldBase } from "./base-fold.ts";
import { buildAtStart } from "./build-at-start.ts";
import { CheckpointWriter } from "./checkpoint-writer.ts";
import { RemovalPace } from "./removal-pace.ts";
import type { RowPlace } from "./row-place.ts";
import { RowScrub } from "./row-scrub.ts";

export interface LogRowsParts {
  readonly place: RowPlace;
  readonly set: SegmentSet;
  readonly state: () => Pick<LogState, "logs" | "freezeProducers">;
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

/** What a log that is reset begins with. */
interface BegunStart {
  readonly rows: CommittedRows;
  readonly files: SegmentSet["rowFiles"];
  /** Undefined if they are in the checkpoint alone. */
  readonly producers: StartProducers | undefined;
}

export class LogRows {
  readonly #parts: LogRowsParts;
  readonly #checkpoints: CheckpointWriter;
  readonly #producers: ProducerCheckpoints;
  #removing: Promise<void> | undefined;
  readonly #pace: RemovalPace;
  /** The size of a base file. */
  #measured = { base: 0, bytes: 0 };
  #prepared: PreparedStart | undefined;
  #startProducers: StartProducers | undefined;
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
    const { faultOf } = parts;
    const table = (): LogTable => this.#table();
    this.#checkpoints = new CheckpointWriter({
      ...{ place, set, table, faultOf, damage },
      inSlices: (steps) => this.#inSlices(steps),
      mayWrite: () => !this.#preparing && this.#prepared === undefined,
      preparedGeneration: () => this.#prepared?.generation,
      removed: () => this.#removing,
    });
    this.#checkpoints.watch(table().stored);
    const { state, usable } = parts;
    const { checkpoints } = set;
    this.#producers = new ProducerCheckpoints({ ...place, checkpoints, state, faultOf, usable });
    const { clock, logger, store } = place;
    if (!parts.scrubs || clock === undefined || store === undefined) return;
    this.#scrub = new RowScrub({ clock, logger, rows: () => table().stored });
  }

  /** Resolves once no checkpoint and no removal is under way, and after close() once everything is closed. */
  async settled(): Promise<void> {
    for (;;) {
      const work = [this.#checkpoints.writing, this.#removing, this.#producers.writing];
      if (work.every((one) => one === undefined)) break;
      await Promise.all(work);
    }
    await this.#closing;
  }

  /** True if the rows on disk, or those that are being written, are as of this index: a segment must end there. */
  isAsOf(index: RaftIndex): boolean {
    const { database } = this.#table().stored;
    return index === this.#checkpoints.pendingIndex || index === database?.head.index;
  }

  /** True while segments are read, over several turns, for other rows than those of the last checkpoint. */
  get readsSegments(): boolean {
    return this.#removing !== undefined || this.#checkpoints.isRebuilding;
  }

  /** How many rows are in memory because the database does not have them as they are. */
  get unsaved(): number {
    return this.#table().stored.unsaved;
  }

  /** A segment was sealed, and the next one began. */
  rolled(): void {
    this.#checkpoints.rolled();
    const { active } = this.#parts.set;
    if (active !== undefined) this.#producers.rolled(active.first);
  }

  /**
   * Removes these segments, the first ones, once the base is that of the start after them. Returns false if no named log is in
   * them: then the caller removes them.
   */
  removes(segments: readonly SealedSegment[]): boolean {
    if (segments.length === 0 || this.#table().level === 0) return false;
    this.#checkpoints.wantFrom(segments.at(-1)!.end.index);
    if (!segments.some(({ meta }) => meta.namesLogs !== false)) return false;
    const { isRebuilding, pendingIndex = Number.MAX_SAFE_INTEGER } = this.#checkpoints;
    const isBusy = this.#removing !== undefined || this.#preparing || isRebuilding || this.#closed;
    // The base is not later than the rows that are frozen: a damaged database is built again from it.
    const gone = segments.filter(({ end }) => end.index <= pendingIndex);
    const mayBegin = gone.length > 0 && !isBusy && this.baseCheck.fault === undefined;
    if (mayBegin && this.#isDue(gone)) this.#beginRemoval(gone);
    return true;
  }

  /** The next call asks again if the base cannot be read now. */
  #isDue(segments: readonly SealedSegment[]): boolean {
    try {
      return this.#pace.isDue(segments, this.base?.bytes ?? 0);
    } catch (reason) {
      if (reason instanceof Fault) return false;
      throw reason;
    }
  }

  #beginRemoval(segments: readonly SealedSegment[]): void {
    const { base } = this.#parts.set.rowFiles;
    const together = this.#pace.together(segments);
    const gone = together.slice(0, this.#parts.set.removable(together.length));
    if (gone.length === 0) return;
    const begun = this.#remove(gone).catch((reason: unknown) => {
      // A refusal is temporary. Damage keeps the segments, like that of a segment that cannot be read.
      this.baseCheck.failed(base, reason);
      if (!(reason instanceof Fault)) this.#parts.faultOf(reason);
      else (this.#parts.place.logger ?? noLogger).warn({ err: reason }, "segments could not be removed now");
    });
    this.#removing = begun.finally(() => (this.#removing = undefined));
  }

  #table(): LogTable {
    return this.#parts.state().logs;
  }

  #baseBytes(): number {
    const { place, set } = this.#parts;
    const { base } = set.rowFiles;
    if (base !== this.#measured.base) this.#measured = { base, bytes: base === 0 ? 0 : sizeOf(place, base) };
    return this.#measured.bytes;
  }

  /**
   * Writes the rows at a start that the log will be reset to, and builds their database. It waits for what is under way: a
   * removal deletes other base files, and a checkpoint can take the next generation.
   */
  async prepare(start: LogStart): Promise<void> {
    this.#preparing = true;
    try {
      await Promise.all([this.#checkpoints.writing, this.#removing, this.#dropping]);
      await this.#prepare(start);
      this.#startProducers = undefined;
      if (this.#hasManyProducers(start))
        this.#startProducers = await prepareProducers(this.#parts.place, start, (steps) =>
          this.#inSlices(steps),
        );
    } finally {
      this.#preparing = false;
    }
  }

  /** True if prepare() must be called before the log is reset to this start. */
  needsPreparation(start: LogStart): boolean {
    return start.rows !== undefined || this.#hasManyProducers(start);
  }

  #hasManyProducers({ checkpoint }: LogStart): boolean {
    return this.#parts.set.checkpoints.areMany(checkpoint.producers.length);
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

  /** The rows and producers at a start that was prepared, and their files. @throws Fault "corrupt" */
  begin({ end, checkpoint }: LogStart): BegunStart {
    const { place, set } = this.#parts;
    const { size } = checkpoint.logs ?? emptyHead;
    // It stays prepared until reset(): the disk can refuse the reset.
    const prepared = this.#prepared?.index === end.index ? this.#prepared : undefined;
    const { generation } = set.rowFiles;
    // No database of the log before is taken for one of the new log.
    const isFirst = generation === 0 && size === 0;
    const next = isFirst ? 0 : generation + 1;
    const files = { base: prepared?.base ?? 0, generation: prepared?.generation ?? next };
    const rows = new CommittedRows(prepared?.database);
    if (rows.database === undefined) loadBase(place, files.base, size, rows);
    this.#checkpoints.watch(rows);
    const producers = this.#startProducers?.index === end.index ? this.#startProducers : undefined;
    return { rows, files, producers };
  }

  /**
   * The base file of this log; undefined if there is none.
   * @throws Fault "corrupt" if it is damaged; "disk-busy" or "disk-full" if it cannot be read now
   */
  get base(): BaseRef | undefined {
    const { base } = this.#parts.set.rowFiles;
    return base === 0 ? undefined : { index: base, bytes: this.#readBase(() => this.#baseBytes()) };
  }

  /** Opens the base file. The caller closes it. It stays readable when the log goes on. @throws as `base`, also when it is read */
  openBase(): BaseSource | undefined {
    const { place, set } = this.#parts;
    const { base } = set.rowFiles;
    return base === 0 ? undefined : this.#readBase(() => openBaseSource(place, base));
  }

  /** Opens the state at the start of the log. The caller closes its producers. @throws Fault "corrupt", "disk-busy" */
  openStart(): OpenedStart {
    return openStart(this.#parts.place, this.#parts.set.start);
  }

  /** Notes damage of the base. */
  #readBase<T>(read: () => T): T {
    const { base } = this.#parts.set.rowFiles;
    try {
      return read();
    } catch (reason) {
      this.baseCheck.failed(base, reason);
      throw reason;
    }
  }

  /** The log was reset to this start. `before` are the rows of the log before. */
  reset(start: LogStart, before: CommittedRows): void {
    const { place, set } = this.#parts;
    this.#prepared = undefined;
    this.#checkpoints.reset();
    this.#producers.reset();
    this.baseCheck.replaced();
    this.download.used(start);
    // A read or a scrub of them may be under way, and fail.
    before.onDamage = undefined;
    this.#parts.damage.removeRows();
    this.#dropping = this.#drop(before.database);
    const used = this.#startProducers?.file;
    this.#startProducers = undefined;
    this.#removeFiles(() => removeOtherStarts(place, [used]));
    this.#removeBases(place, set.rowFiles.base);
  }

  #removeBases(place: RowPlace, base: RaftIndex): void {
    this.#removeFiles(() => removeOtherBases(place, [base, this.download.heldIndex], true));
  }

  /** A file that cannot be removed now is removed by a later removal, or when the log is opened. */
  #removeFiles(remove: () => void): void {
    try {
      remove();
    } catch (reason) {
      if (errorCode(reason) === "") this.#parts.faultOf(reason);
    }
  }

  /** Ends what is under way. See settled(). */
  close(): void {
    this.#closed = true;
    this.#scrub?.close();
    this.#checkpoints.close();
    this.#producers.close();
    this.#closing = this.#close(this.#table().stored.database);
  }

  async #close(database: RowDatabase | undefined): Promise<void> {
    const { writing } = this.#producers;
    await Promise.all([this.#checkpoints.writing, this.#removing, this.#dropping, writing]);
    await database?.close();
    await this.#prepared?.database?.close();
    await this.#parts.place.store?.close();
  }

  async #drop(database: RowDatabase | undefined): Promise<void> {
    await this.#checkpoints.writing;
    await database?.close();
    this.#checkpoints.removeOthers(this.#parts.set.rowFiles.generation);
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
    this.#checkpoints.wantFrom(end.index);
    set.removeFirst(segments.length, next);
    if (next !== base) this.#removeBases(place, next);
    removed();
  }

  /** Nothing names the file yet. So an error, whatever its code is, loses nothing, unless a sync failed. */
  async #merge(...merge: Parameters<RowStore["mergeBase"]>): Promise<void> {
    const { disk, store } = this.#parts.place;
    try {
      if (store !== undefined) await store.mergeBase(...merge);
      else await this.#inSlices(mergeBase(disk, ...merge));
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
      const isUnknown = troubleOf(reason) === "lost";
      throw isUnknown ? new Fault("disk-busy", { cause: reason }) : diskFault(reason);
    }
  }

  #inSlices<T>(steps: Generator<void, T, undefined>): Promise<T> {
    return inSlices(this.#parts.place.clock, steps);
  }
}

function sizeOf(place: RowPlace, base: RaftIndex): number {
  const file = openBaseSource(place, base);
  try {
    return file.size();
  } finally {
    file.close();
  }
}
