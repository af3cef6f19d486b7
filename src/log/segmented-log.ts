/**
 * The log of one node: batches at Raft indexes, in segments on disk. It is the storage and the state of a Raft node.
 *
 *   stage(frames)      appends frames in memory: entries() returns them, they are part of `end`
 *   flush()            writes and syncs all staged frames in one piece: they are part of `durableIndex`
 *   commitTo(index)    shows batches to readers and folds them into the state
 *   truncateSuffix, compact, reset
 *
 * Invariant: commitIndex <= durableIndex <= end.index, and commitIndex never falls.
 *
 * After a failed sync, or a write of which bytes may be lost, the log is failed: nothing is written any more, because
 * the state of the disk is unknown. When the disk refuses an operation and nothing is lost (see troubleOf), the log
 * throws Fault "disk-full" or "disk-busy", and the same call may be made again.
 *
 * A log has one owner. It runs flush(), truncateSuffix() and reset() one at a time; stage() is allowed at any time.
 */
import type { Fault } from "../fault.ts";
import { assert } from "../lib/assert.ts";
import { Broadcast } from "../lib/broadcast.ts";
import type { Bounds, LogId, Offset, RaftIndex, SegmentDescription, Term } from "../types.ts";
import { CommittedLog } from "./committed-log.ts";
import type { ChainEnd } from "./frame/chain.ts";
import type { FrameGroup } from "./frame/frame-group.ts";
import { LogMeter } from "./log-meter.ts";
import type { SegmentedLogOptions } from "./log-options.ts";
import { FrameCache } from "./read/frame-cache.ts";
import type { LogView } from "./read/log-view.ts";
import type { Reader } from "./read/reader.ts";
import { openSegments } from "./recovery/open-segments.ts";
import type { RecoveryReport } from "./recovery/recover.ts";
import { type Scrub, type ScrubTotals, startScrub } from "./recovery/scrub.ts";
import { LogRows } from "./rows/log-rows.ts";
import type { CatalogChanges, LogStart } from "./segment/catalog.ts";
import { removableSegments } from "./segment/live-batches.ts";
import { type RetainedLog, retainedLog } from "./segment/retention.ts";
import type { SealedSegment } from "./segment/sealed-segment.ts";
import type { Segment } from "./segment/segment.ts";
import type { SegmentFiles } from "./segment/segment-files.ts";
import type { SegmentSet } from "./segment/segment-set.ts";
import type { Settler } from "./settle/settler.ts";
import { startSettler } from "./settle/start-settler.ts";
import type { LogState } from "./state/log-state.ts";
import { DiskHealth } from "./write/disk-health.ts";
import { LogWriter } from "./write/log-writer.ts";
import { StagedFrames } from "./write/staged-frames.ts";

const frameCacheBytesDefault = 16 * 1024 * 1024;

export class SegmentedLog {
  readonly directoryId: Uint8Array;
  /** What opening found and did. */
  readonly recovery: RecoveryReport;
  readonly reader: Reader;
  readonly committed: CommittedLog;
  /** True if the process before this one did not sync every group: a crash may have undone what it acknowledged. */
  readonly wasUnsynced: boolean;
  /** Notified when more is committed, when the lowest offset rises, and on close. */
  readonly changed = new Broadcast();
  readonly #files: SegmentFiles;
  readonly #set: SegmentSet;
  readonly #frameCache: FrameCache;
  readonly #staged: StagedFrames;
  readonly #writer: LogWriter;
  readonly #health: DiskHealth;
  /** Undefined without telemetry. */
  readonly meter: LogMeter | undefined;
  readonly #scrub: Scrub | undefined;
  /** The rows of named logs on disk. */
  readonly rows: LogRows;
  /** Gives space back that removed records hold. Undefined if that is off. */
  readonly settler: Settler | undefined;

  /**
   * Opens the log and recovers it.
   * @throws Fault "corrupt", "foreign-directory", "unsupported-version"; "disk-full" or "disk-failed" if the disk fails
   */
  static open(options: SegmentedLogOptions): SegmentedLog {
    return new SegmentedLog(options);
  }

  private constructor(options: SegmentedLogOptions) {
    const { directoryId, catalog, files, set, state, savedCommit, report, wasUnsynced, place } =
      openSegments(options);
    this.directoryId = directoryId;
    this.recovery = report;
    this.wasUnsynced = wasUnsynced;
    this.#files = files;
    this.#set = set;
    this.#health = new DiskHealth(options.onRefusal, options.onFailure);
    const frameCache = new FrameCache(options.frameCacheBytesMax ?? frameCacheBytesDefault);
    const staged = new StagedFrames(set, frameCache);
    [this.#frameCache, this.#staged] = [frameCache, staged];
    const { readCacheBytesMax, clock, zerosMax } = options;
    const [changed, health] = [this.changed, this.#health];
    set.removals.health = health;
    this.rows = new LogRows({
      ...{ place, set },
      state: () => this.committed?.state ?? state,
      removed: () => this.committed.refreshBounds(),
      faultOf: (reason) => health.faultOf(reason),
      usable: () => health.usable,
      damage: files.damage,
      scrubs: (options.scrubBytesPerSecond ?? 0) > 0,
    });
    const committed = new CommittedLog({
      ...{ catalog, set, staged, frameCache, health },
      onRolled: () => this.rows.rolled(),
      ...{ changed, state, savedCommit, readCacheBytesMax },
      nowMs: clock === undefined ? undefined : () => clock.monotonicMs(),
      soon: clock === undefined ? undefined : (callback) => clock.soon(callback),
    });
    [this.committed, this.reader] = [committed, committed.reader];
    const { telemetry, disk } = options;
    const freeBytes = (): number => disk.freeBytes(options.directory);
    this.meter = telemetry === undefined ? undefined : new LogMeter(telemetry, this, freeBytes);
    this.#writer = new LogWriter({ set, staged, committed, health, clock, zerosMax, meter: this.meter });
    this.#scrub = startScrub(options, { catalog, files, set, health });
    this.settler = startSettler(options, { ...{ files, catalog, directoryId, set, health }, log: this });
  }

  /** What the frame after the one at `index` must follow. `index` is in the log, or just before its first. */
  endAt(index: RaftIndex): ChainEnd {
    return this.#staged.endAt(index);
  }

  /** The end of the log, staged frames included: what the next frame must follow. */
  get end(): ChainEnd {
    return this.#staged.end;
  }

  /** The last index that is written and, unless flush() was called with `sync` false, synced. */
  get durableIndex(): RaftIndex {
    return this.#writer.durableIndex;
  }

  /** The last index that is synced. */
  get syncedIndex(): RaftIndex {
    return this.#writer.syncedIndex;
  }

  get commitIndex(): RaftIndex {
    return this.committed.commitIndex;
  }

  /** The first index that is stored; one more than the last if the log is empty. */
  get firstIndex(): RaftIndex {
    return this.#set.before.index + 1;
  }

  /** The end of the log before firstIndex. */
  get before(): ChainEnd {
    return this.#set.before;
  }

  /** The committed extent. */
  get bounds(): Bounds {
    return this.committed.bounds;
  }

  /** The state folded from all batches: the committed ones, and what the others will add. */
  get state(): LogState {
    return this.committed.state;
  }

  /** The named log of this id. */
  view(id: LogId): LogView {
    return this.committed.view(id);
  }

  get segments(): readonly Segment[] {
    return this.#set.all;
  }

  get sealed(): readonly SealedSegment[] {
    return this.#set.sealed;
  }

  /** Fault "disk-failed" once the log is failed. */
  get failure(): Fault | undefined {
    return this.#health.failure;
  }

  get closed(): boolean {
    return this.#health.closed;
  }

  /** Fault "disk-full" or "disk-busy" while the last attempt to write was refused by the disk. */
  get refusal(): Fault | undefined {
    return this.#health.refusal;
  }

  /** Fault "corrupt" of the first damage that a reader or the scrub found in what is stored. */
  get damage(): Fault | undefined {
    return this.#files.damage.first;
  }

  get damagedSegments(): number {
    return this.#files.damage.count;
  }

  get scrubbed(): ScrubTotals {
    return this.#scrub?.totals ?? { bytes: 0, passes: 0 };
  }

  get openFiles(): { readonly stores: number; readonly mappings: number } {
    return { stores: this.#files.stores.size, mappings: this.#files.indexes.size };
  }

  /** The log as retention needs it. */
  get retained(): RetainedLog {
    return retainedLog(this.#set, this.commitIndex === this.end.index, this.bounds.lowest);
  }

  /** The segments, with committed records only. */
  describeSegments(): SegmentDescription[] {
    const { next } = this.bounds;
    return this.#set.all.map((segment) => ({
      ...segment.describe(),
      nextOffset: Math.min(next, segment.nextOffset),
    }));
  }

  /** The term of the batch at `index`, or just before firstIndex. Undefined outside the log. */
  term(index: RaftIndex): Term | undefined {
    return this.#staged.term(index);
  }

  /** The offset after the last record up to `index`, which is limited to the indexes of the log. */
  offsetAfter(index: RaftIndex): Offset {
    return this.#staged.endAt(Math.min(this.end.index, Math.max(index, this.firstIndex - 1))).nextOffset;
  }

  /**
   * Returns frames from `from` on, staged ones included, by reference: about `maxBytes` of them, at least one. Empty if
   * `from` is beyond the end.
   * @throws Fault "corrupt"
   */
  entries(from: RaftIndex, maxBytes: number, to = this.end.index): Uint8Array[] {
    const last = Math.min(to, this.end.index);
    if (from > last) return [];
    assert(from >= this.firstIndex, "these entries were removed");
    const cached = this.#frameCache.frames(from, last, maxBytes);
    return cached.length > 0 ? cached : this.reader.frames(from, last, maxBytes);
  }

  /**
   * Appends frames in memory. The caller must not change `frames` afterwards.
   * @throws Fault "corrupt" if a frame is damaged or does not follow the one before it; then no frame was taken
   */
  stage(frames: Uint8Array): void {
    this.#health.checkUsable();
    this.#staged.stage(frames, this.state, this.durableIndex);
  }

  /** Does the same for frames that were sealed or checked here. Only the link of the first one to the end is checked. */
  stageChecked(group: FrameGroup): void {
    this.#health.checkUsable();
    this.#staged.stageChecked(group, this.state, this.durableIndex);
  }

  /**
   * Creates the files that a write of `batches` batches of `bytes` bytes could need. Returns Fault "disk-full" or
   * "disk-busy" if the disk refuses that: then a batch that is not staged yet can be refused as not written.
   */
  prepare(bytes: number, batches: number, nowMs: number): Fault | undefined {
    return this.#writer.prepare(bytes, batches, nowMs);
  }

  /** Retries what the disk refused, if nothing has to be written for it. Returns the fault if the disk still refuses. */
  retryRefused(): Fault | undefined {
    return this.#writer.retryRefused();
  }

  /**
   * Writes and syncs everything staged, without yielding to the event loop. With `sync` false it only writes.
   * @throws Fault "disk-full" or "disk-busy": what was written is durable, the rest stays staged; "disk-failed"
   */
  flushNow(sync = true): void {
    this.#writer.flushNow(sync);
  }

  /** Does the same off the event loop. */
  flush(sync = true): Promise<void> {
    return this.#writer.flush(sync);
  }

  /** Syncs what flush(false) has only written. */
  syncWritten(): Promise<void> {
    return this.#writer.syncWritten();
  }

  /** Makes everything up to `index`, which is written, durable now: before a file is written that depends on it. */
  syncTo(index: RaftIndex): void {
    this.#writer.syncTo(index);
  }

  /** Syncs the index file of the active segment. Call it when the log is idle. */
  syncIndex(): void {
    this.#writer.syncIndex();
  }

  /** Calls back for each batch of a producer that is committed here, not for those that a snapshot contains. */
  onProduced(listener: NonNullable<LogState["producers"]["onCommitted"]>): void {
    this.committed.onProduced(listener);
  }

  /** Everything up to `index` is committed. It is shown as far as it is durable, the rest as soon as it is. */
  commitTo(index: RaftIndex): void {
    this.committed.commitTo(index, this.#writer);
  }

  /**
   * Cuts off everything from `from` on, durably. It must not be committed.
   * @throws Fault "disk-full" or "disk-busy" (nothing was changed), "disk-failed"
   */
  truncateSuffix(from: RaftIndex): void {
    this.#health.checkUsable();
    assert(from > this.commitIndex, "a committed batch is never cut off");
    if (from > this.end.index) return;
    const end = this.#staged.endAt(from - 1);
    // The disk comes first: if it refuses, nothing was changed.
    this.#attempt(() => this.#writer.truncate(from, end));
    this.#staged.truncate(from, end);
    this.committed.truncate(from);
  }

  /**
   * Removes sealed segments that nothing reads, up to `keepAfter`, which followers have. Returns how many were removed.
   * Segments that name logs are removed later (see LogRows).
   * @throws Fault "disk-full" or "disk-busy" (nothing was changed), "disk-failed"
   */
  compact(keepAfter: RaftIndex = this.commitIndex): number {
    const gone = this.#set.sealed.slice(0, this.#removable(keepAfter));
    const count = gone.length;
    let isLater = false;
    this.#attempt(() => {
      isLater = this.rows.removes(gone);
      if (count > 0 && !isLater) this.#set.removeFirst(count);
      else this.#set.removals.run();
    });
    this.committed.refreshBounds();
    return isLater ? 0 : count;
  }

  #removable(keepAfter: RaftIndex): number {
    const { lowest } = this.bounds;
    const lastMax = Math.min(keepAfter, this.commitIndex, this.committed.savedCommit);
    return this.#set.removable(removableSegments(this.#set.sealed, lowest, lastMax, this.state.logs));
  }

  /** Returns true if compact() has more to do later: segments kept for a follower, files that could not be removed. */
  get compactsLater(): boolean {
    if (this.#set.removals.areLeft) return true;
    return this.#removable(this.commitIndex) > 0;
  }

  /**
   * Removes everything. The log continues after `start`, which a snapshot brought. If it has named logs, rows.prepare()
   * was called. `also` is written to the stable store in the same transaction.
   * @throws Fault "disk-full" or "disk-busy" (nothing was changed), "disk-failed"
   */
  reset(start: LogStart, also: CatalogChanges = {}): void {
    this.#health.checkUsable();
    const before = this.state.logs.stored;
    const { rows, files, producers } = this.rows.begin(start);
    this.#attempt(() => this.#set.reset(start, files, also, producers?.file));
    this.#staged.reset(start.end);
    this.#writer.reset(start.end.index);
    this.committed.reset(start, rows, producers?.table);
    this.rows.reset(start, before);
  }

  /** Closes all files. An owner that has a flush under way awaits it first. Another call does nothing. */
  close(): void {
    if (this.closed) return;
    this.#scrub?.close();
    this.settler?.close();
    this.rows.close();
    if (this.failure === undefined && this.#set.active !== undefined) {
      this.#writer.finish();
      this.committed.saveAtClose();
    }
    this.#health.close();
    this.#set.close();
    this.committed.notifyAll();
  }

  /** Runs an operation that changes nothing if the disk refuses it. */
  #attempt(operation: () => void): void {
    try {
      operation();
    } catch (reason) {
      throw this.#health.faultOf(reason);
    }
  }
}
