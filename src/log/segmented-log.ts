/**
 * The segmented log: batches at Raft indexes, an end that may still be cut, and a commit below which nothing changes
 * and above which nothing is shown. It is a Raft node's storage and its state in one; a single node commits what is
 * durable.
 *
 *   stage(frames)      the frames follow the last one: readable by index, part of `end`, not durable
 *   flush()            all staged frames written in one piece and synced: `durableIndex`
 *   commitTo(index)    shown to readers, folded into the state
 *   truncateSuffix, compact, reset
 *
 * Invariants: commitIndex <= durableIndex <= end.index, and commitIndex never falls. What the catalog calls committed is
 * synced here, also where flush() was told that written is enough.
 * After a failed sync, or a write of which bytes may be lost, the log is poisoned: nothing is written any more, for its
 * state is not known. What the disk refuses for want of room, descriptors, memory or rights (see troubleOf) poisons
 * nothing: Fault "disk-full" or "disk-busy", and the same call may be made again.
 *
 * One owner; flush(), truncateSuffix() and reset() one at a time (the owner's turn sees to that), stage() at any time.
 *
 * Never: decides what to append, knows producers' callers, waits for anything but its disk.
 */
import { Fault } from "../fault.ts";
import { assert } from "../lib/assert.ts";
import { Broadcast } from "../lib/broadcast.ts";
import { type Disk, errorCode, troubleOf } from "../lib/disk/disk.ts";
import type { Mapper } from "../lib/disk/mapped-file.ts";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { StableStore } from "../store/mod.ts";
import type { Bounds, Offset, RaftIndex, SegmentDescription, Term } from "../types.ts";
import { type ChainEnd, type ChainFlaw, checkLink, checkNext, endOfFrame } from "./frame/chain.ts";
import { frameBytes } from "./frame/frame.ts";
import { cutGroup, type FrameGroup, lastOfGroup } from "./frame/frame-group.ts";
import { LogMeter, type LogTelemetry } from "./log-meter.ts";
import { checkInitialOffset } from "./offset-limit.ts";
import { FrameCache } from "./read/frame-cache.ts";
import { Reader } from "./read/reader.ts";
import { foldSealed, foldSegment } from "./recovery/fold-segments.ts";
import { ensureDirectoryId, type RecoveryReport, recover } from "./recovery/recover.ts";
import { Scrub, type ScrubTotals } from "./recovery/scrub.ts";
import { checkBytesDefault } from "./recovery/sealed-check.ts";
import { Catalog, type CatalogChanges, catalogChange, type LogStart } from "./segment/catalog.ts";
import { DamageRegistry, refusal } from "./segment/damage.ts";
import { diskFault, isRefusal } from "./segment/disk-fault.ts";
import type { RetainedLog } from "./segment/retention.ts";
import type { ActiveSegment, SealedSegment, Segment } from "./segment/segment.ts";
import { SegmentFiles } from "./segment/segment-files.ts";
import { SegmentSet } from "./segment/segment-set.ts";
import { LogState } from "./state/log-state.ts";

export interface SegmentedLogOptions {
  /** The data directory; segments lie in its `log`. It must exist. */
  readonly directory: string;
  readonly disk: Disk;
  readonly store: StableStore;
  /** How sealed indexes are read. */
  readonly mapper: Mapper;
  /** 16 bytes of chance, for a directory that has no id yet. */
  readonly newDirectoryId: Uint8Array;
  /** Where offsets begin in an empty log. */
  readonly initialOffset?: Offset;
  /** Frames kept in memory, bytes. */
  readonly frameCacheBytesMax?: number;
  /** Each of three caches of what was read from segments. Default 8 MiB. */
  readonly readCacheBytesMax?: number;
  /** Open store files and mappings, each. */
  readonly openFilesMax?: number;
  /** The node is allowed to run without syncing every group: a crash may tear more than one. */
  readonly unsynced?: boolean;
  /** Sealed bytes that opening checks besides the last segment. Default 64 MiB. */
  readonly checkBytesMax?: number;
  /** How fast sealed segments are read again in the background, to find damage; needs a clock. Default 0: not at all. */
  readonly scrubBytesPerSecond?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Called when the disk begins to refuse writes: see refusal. */
  readonly onRefusal?: () => void;
  /** Who is told of flushes and sizes. */
  readonly telemetry?: LogTelemetry | undefined;
}

const indexSyncBytes = 8 * 1024 * 1024;

export class SegmentedLog {
  readonly directoryId: Uint8Array;
  readonly recovery: RecoveryReport;
  readonly frameCache: FrameCache;
  readonly reader: Reader;
  /** Did the process before this one not sync every group? Then a crash may have taken back what it acknowledged. */
  readonly wasUnsynced: boolean;
  /** Notified when more is committed, when the lowest offset rises, and at the close. */
  readonly changed = new Broadcast();
  state: LogState;
  #onProduced: LogState["producers"]["onCommitted"];
  readonly #options: Pick<SegmentedLogOptions, "onRefusal">;
  readonly #catalog: Catalog;
  readonly #files: SegmentFiles;
  readonly #meter: LogMeter | undefined;
  readonly #scrub: Scrub | undefined;
  readonly #set: SegmentSet;
  /** Staged and not yet written, in order. */
  #staged: FrameGroup[] = [];
  #end: ChainEnd;
  #durable: RaftIndex;
  /** The last index that is synced; #durable is ahead of it where written is enough. */
  #synced: RaftIndex;
  /** How often written batches were cut off or replaced. */
  #cuts = 0;
  /** Why the disk took nothing the last time; undefined since it took something again. */
  #refusal: Fault | undefined;
  #commit: RaftIndex;
  #wanted: RaftIndex;
  #bounds: Bounds;
  /** The commit that the catalog knows. */
  #floor: RaftIndex;
  #unsyncedIndexBytes = 0;
  #failure: Fault | undefined;
  #closed = false;

  /**
   * Opens the log and recovers it. Throws Fault "corrupt", "foreign-directory", "unsupported-version", and "disk-full"
   * or "disk-failed" where the disk does not do what opening asks of it.
   */
  static open(options: SegmentedLogOptions): SegmentedLog {
    try {
      return new SegmentedLog(options);
    } catch (reason) {
      if (reason instanceof Fault || errorCode(reason) === "") throw reason;
      const message = `the log in ${options.directory} cannot be opened, ${(reason as Error).message}`;
      throw new Fault(troubleOf(reason) === "full" ? "disk-full" : "disk-failed", { message, cause: reason });
    }
  }

  private constructor(options: SegmentedLogOptions) {
    const { directory, disk, store, mapper, newDirectoryId, initialOffset = 0 } = options;
    checkInitialOffset(initialOffset);
    this.#options = options;
    const logDirectory = `${directory}/log`;
    disk.makeDirectory(logDirectory);
    this.#catalog = new Catalog(store);
    this.directoryId = ensureDirectoryId(disk, directory, this.#catalog, newDirectoryId);
    const book = new DamageRegistry((first, damage) => {
      this.#catalog.write(catalogChange.damage(first, damage));
    }, options.logger);
    this.#files = new SegmentFiles(logDirectory, disk, mapper, options.openFilesMax ?? 64, book);
    const start = initialStart(this.#catalog, initialOffset);
    this.#floor = this.#catalog.commit();
    let state: LogState | undefined;
    const { sealed, active, report } = recover(
      this.#files,
      this.#catalog,
      this.directoryId,
      options.checkBytesMax ?? checkBytesDefault,
      (before, last) => {
        const folding = foldSealed(this.#catalog, start, this.#floor, before, last);
        state = folding;
        return (bytes, at) => folding.stage(bytes, at);
      },
    );
    assert(state !== undefined, "the state was not folded");
    this.state = state;
    this.recovery = report;
    const { directoryId } = this;
    this.#set = new SegmentSet({
      files: this.#files,
      catalog: this.#catalog,
      directoryId,
      start,
      sealed,
      active,
    });
    this.#end = this.#set.end;
    this.#durable = this.#end.index;
    this.#synced = this.#durable;
    if (this.#durable < this.#floor) {
      active?.close();
      const why = `it ends at index ${this.#durable}, but index ${this.#floor} was committed`;
      throw refusal({ path: active?.path ?? `${logDirectory}/meta`, position: active?.bytes ?? 0, why });
    }
    this.frameCache = new FrameCache(options.frameCacheBytesMax ?? 16 * 1024 * 1024);
    this.#commit = Math.max(this.state.committedIndex, this.#floor);
    this.state.commitTo(this.#commit);
    this.#wanted = this.#commit;
    this.#bounds = { lowest: 0, next: 0 };
    this.#refreshBounds();
    this.reader = new Reader(this, options.readCacheBytesMax);
    const unsynced = options.unsynced ?? false;
    this.wasUnsynced = this.#catalog.unsynced();
    if (this.wasUnsynced !== unsynced) this.#catalog.write(catalogChange.unsynced(unsynced));
    if (options.telemetry !== undefined) {
      this.#meter = new LogMeter(options.telemetry, this, () => disk.freeBytes(directory));
    }
    const { clock, scrubBytesPerSecond = 0 } = options;
    if (clock !== undefined && scrubBytesPerSecond > 0) {
      this.#scrub = new Scrub({
        clock,
        bytesPerSecond: scrubBytesPerSecond,
        logger: options.logger,
        files: this.#files,
        sealed: () => this.#set.sealed,
        since: this.#catalog.scrubbed(),
        keep: (first) => this.#quietlyKeep(first),
      });
    }
  }

  /** What the frame at `index` + 1 must follow. `index` is in the log, staged or durable, or its start. */
  endAt(index: RaftIndex): ChainEnd {
    return this.#endAt(index);
  }

  /** Behind the last staged frame: what the next one must follow. */
  get end(): ChainEnd {
    return this.#end;
  }

  /** The last index that is written and, unless flush() was told otherwise, synced. */
  get durableIndex(): RaftIndex {
    return this.#durable;
  }

  /** The last index that is synced. */
  get syncedIndex(): RaftIndex {
    return this.#synced;
  }

  get commitIndex(): RaftIndex {
    return this.#commit;
  }

  /** The first index that is still here; one more than the last when the log is empty. */
  get firstIndex(): RaftIndex {
    return this.#set.before.index + 1;
  }

  /** The end of the log before firstIndex, and the state there: what a node needs that starts from here. */
  get start(): LogStart {
    return this.#set.start;
  }

  /** The committed extent. */
  get bounds(): Bounds {
    return this.#bounds;
  }

  get segments(): readonly Segment[] {
    return this.#set.all;
  }

  get failure(): Fault | undefined {
    return this.#failure;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Fault "disk-full" or "disk-busy" while the last attempt to write was refused by the disk. */
  get refusal(): Fault | undefined {
    return this.#refusal;
  }

  /** The first damage that was found in what is stored, by a reader or the scrub: Fault "corrupt". */
  get damage(): Fault | undefined {
    return this.#files.damage.first;
  }

  /** Segments known to be damaged. */
  get damagedSegments(): number {
    return this.#files.damage.count;
  }

  get scrubbed(): ScrubTotals {
    return this.#scrub?.totals ?? { bytes: 0, passes: 0 };
  }

  /** The term of the batch at `index`, or undefined where there is none; also just before firstIndex. */
  term(index: RaftIndex): Term | undefined {
    if (index === this.#end.index) return this.#end.term;
    if (index > this.#end.index) return undefined;
    const recent = this.frameCache.term(index);
    if (recent !== undefined) return recent;
    const { before } = this.#set;
    if (index === before.index) return before.term;
    if (index < before.index) return undefined;
    const segment = this.#set.of(index);
    return segment.lookup((entries) => entries.term(index - segment.first));
  }

  /** One past the last record up to `index`; where the log starts for an index that is gone. */
  offsetAfter(index: RaftIndex): Offset {
    return this.#nextOffsetAt(Math.min(this.#end.index, Math.max(index, this.firstIndex - 1)));
  }

  /**
   * Frames from `from` on, staged ones included, by reference: at most about `maxBytes`, at least one. Empty when
   * there is none. Throws Fault "corrupt".
   */
  entries(from: RaftIndex, maxBytes: number, to = this.#end.index): Uint8Array[] {
    const last = Math.min(to, this.#end.index);
    if (from > last) return [];
    assert(from >= this.firstIndex, "these entries are gone");
    const recent = this.frameCache.frames(from, last, maxBytes);
    return recent.length > 0 ? recent : this.reader.frames(from, last, maxBytes);
  }

  /**
   * Puts frames behind the last; the log keeps `frames` and the caller must leave them alone. Throws Fault
   * "corrupt" (and takes none of them) when one is damaged or does not follow the one before.
   */
  stage(frames: Uint8Array): void {
    this.#checkUsable();
    const positions: number[] = [];
    let end = this.#end;
    const first = end.index + 1;
    let at = 0;
    while (at < frames.length) {
      const flaw = checkNext(frames, at, frames.length, end);
      if (flaw !== undefined) throw doesNotFollow(end, flaw);
      positions.push(at);
      end = endOfFrame(frames, at);
      at += frameBytes(frames, at);
    }
    if (positions.length === 0) return;
    positions.push(at);
    for (let k = 0; k < positions.length - 1; k++) this.state.stage(frames, positions[k]!);
    this.#add({ bytes: frames, positions, first }, end);
  }

  /**
   * The same for frames that are sound and form a chain, because they were sealed here or checked when they arrived. Only
   * the first one's link to the end is checked.
   */
  stageChecked(group: FrameGroup): void {
    this.#checkUsable();
    const { bytes, positions } = group;
    const flaw = checkLink(bytes, positions[0]!, this.#end);
    if (flaw !== undefined) throw doesNotFollow(this.#end, flaw);
    for (let k = 0; k < positions.length - 1; k++) this.state.stage(bytes, positions[k]!);
    this.#add(group, endOfFrame(bytes, positions[positions.length - 2]!));
  }

  /** The next flush serves appends with these traceparents: its span is linked to theirs. */
  linkNextFlush(traceparents: readonly string[]): void {
    this.#meter?.linkNextFlush(traceparents);
  }

  #add(group: FrameGroup, end: ChainEnd): void {
    this.#end = end;
    this.#staged.push(group);
    this.frameCache.add(group, this.#durable);
  }

  /**
   * Makes the files ahead that a write of so many batches, of so many bytes together, could need. Returns Fault "disk-full"
   * or "disk-busy" when the disk refuses that: what is not staged yet can then be refused as not written.
   */
  prepare(bytes: number, batches: number, nowMs: number): Fault | undefined {
    if (this.#failure !== undefined || this.#closed) return undefined;
    const ahead = { bytes, batches };
    for (const group of this.#staged) {
      ahead.bytes += group.bytes.length;
      ahead.batches += group.positions.length - 1;
    }
    const timestampMs = Math.max(nowMs, this.#end.timestampMs);
    if (!this.#set.couldRoll(ahead, timestampMs, this.state.settings)) return undefined;
    return this.#tryPrepare();
  }

  /** Tries again what the disk refused, as far as nothing has to be written for it. Returns why it still refuses. */
  retryRefused(): Fault | undefined {
    if (this.#refusal === undefined || this.#failure !== undefined || this.#closed) return undefined;
    // What is staged is written by its owner, who tries again by itself.
    return this.#staged.length > 0 ? this.#refusal : this.#tryPrepare();
  }

  #tryPrepare(): Fault | undefined {
    try {
      this.#set.prepare();
      this.#refusal = undefined;
      return undefined;
    } catch (reason) {
      // Nothing was written yet, so no code means that bytes are lost.
      const isLoss = troubleOf(reason) === "lost";
      return this.#note(isLoss ? new Fault("disk-busy", { cause: reason }) : diskFault(reason));
    }
  }

  /** The disk refuses writes, until it takes one again. */
  #note(refusal: Fault): Fault {
    const isNew = this.#refusal === undefined;
    this.#refusal = refusal;
    if (isNew) this.#options.onRefusal?.();
    return refusal;
  }

  /**
   * Writes and syncs everything staged, without yielding. Throws Fault "disk-full" or "disk-busy" (the rest stays staged,
   * what was written is durable: see durableIndex) or "disk-failed" (poisoned). `sync` false: written is enough.
   */
  flushNow(sync = true): void {
    this.#checkUsable();
    const groups = this.#staged;
    const told = this.#meter?.flushing(groups, this.#writtenOffset);
    try {
      try {
        for (const part of this.#parts(groups)) this.#set.active!.write(part);
      } catch (reason) {
        this.#writeFailed(reason);
      }
      if (sync) this.#syncActive();
      this.#flushed(groups, sync);
    } catch (reason) {
      told?.failed(reason);
      throw reason;
    }
    told?.done(this.#writtenOffset);
  }

  /** The same off the event loop. */
  async flush(sync = true): Promise<void> {
    this.#checkUsable();
    const groups = [...this.#staged];
    const told = this.#meter?.flushing(groups, this.#writtenOffset);
    try {
      try {
        for (const part of this.#parts(groups)) await this.#set.active!.writeAsync(part);
      } catch (reason) {
        this.#writeFailed(reason);
      }
      const { active } = this.#set;
      if (sync && active !== undefined) await this.#syncAside(active);
      this.#flushed(groups, sync);
    } catch (reason) {
      told?.failed(reason);
      throw reason;
    }
    told?.done(this.#writtenOffset);
  }

  /** Syncs what flush(false) has only written. */
  async syncWritten(): Promise<void> {
    const { active } = this.#set;
    if (active === undefined || this.#failure !== undefined || this.#closed) return;
    const { index } = active.end;
    const cuts = this.#cuts;
    await this.#syncAside(active);
    // What was cut off meanwhile may have been replaced by what is only written.
    if (cuts === this.#cuts) this.#synced = Math.max(this.#synced, index);
    if (this.#set.active?.end.index === index) this.#receipts();
    this.#keepFloor();
  }

  /** Makes everything up to `index`, which is written, durable now: for what is about to be written elsewhere and needs it. */
  syncTo(index: RaftIndex): void {
    if (index <= this.#synced || this.#closed) return;
    this.#checkUsable();
    this.#syncActive();
  }

  /** Syncs the index of the active segment: worth doing when there is nothing else to do. */
  syncIndex(): void {
    if (this.#unsyncedIndexBytes === 0 || this.#failure !== undefined || this.#closed) return;
    try {
      this.#set.active?.syncIndex();
    } catch (reason) {
      throw this.#poison(reason);
    }
    this.#unsyncedIndexBytes = 0;
  }

  /** Calls back for each batch of a producer when it is committed here, not for those that a snapshot brings. */
  onProduced(listener: NonNullable<LogState["producers"]["onCommitted"]>): void {
    this.#onProduced = listener;
    this.state.producers.onCommitted = listener;
  }

  /** Everything up to `index` is committed; shown as far as it is durable, the rest as soon as it is. */
  commitTo(index: RaftIndex): void {
    this.#wanted = Math.max(this.#wanted, index);
    const to = Math.min(this.#wanted, this.#durable);
    if (to <= this.#commit) return;
    this.frameCache.expose(this.#commit + 1, to);
    this.state.commitTo(to);
    this.#commit = to;
    this.#refreshBounds();
    this.reader.committed();
    this.#keepFloor();
    this.changed.notify();
  }

  /**
   * Once a segment, the catalog learns that all before it is committed: opening need not look further back. It never learns
   * of what is only written: after a power cut the log would end below what its catalog calls committed.
   */
  #keepFloor(): void {
    const known = Math.min(this.#commit, this.#synced);
    const boundary = (this.#set.active?.first ?? 1) - 1;
    if (this.#floor < boundary && known >= boundary) this.#writeFloor(known);
  }

  /**
   * Cuts off everything from `from` on, durably. It must not be committed. Throws Fault "disk-full" or "disk-busy", having
   * changed nothing, or "disk-failed".
   */
  truncateSuffix(from: RaftIndex): void {
    this.#checkUsable();
    assert(from > this.#commit, "a committed batch is never cut off");
    if (from > this.#end.index) return;
    const end = this.#endAt(from - 1);
    // The disk first: what it refuses is refused with nothing changed.
    if (from <= this.#durable) {
      try {
        this.#set.truncate(from, end);
      } catch (reason) {
        throw this.#refused(reason);
      }
      this.#durable = from - 1;
      this.#cuts++;
      this.#synced = Math.min(this.#synced, from - 1);
      this.reader.forget();
    }
    this.#staged = this.#staged.filter((group) => group.first < from);
    const tail = this.#staged.pop();
    this.frameCache.truncate(from);
    if (tail !== undefined) this.#staged.push(cutGroup(tail, from));
    this.#wanted = Math.min(this.#wanted, from - 1);
    this.#end = end;
    // The state below the cut may have been folded from a checkpoint above it.
    if (from > this.state.committedIndex) this.state.truncate(from);
    else this.state = this.#foldState();
    this.#refreshBounds();
  }

  /**
   * Removes sealed segments that hold nothing from the lowest offset on, and no index above `keepAfter` (what
   * followers still need). Answers how many went. Throws Fault "disk-full" or "disk-busy", having changed nothing.
   */
  compact(keepAfter: RaftIndex = this.#commit): number {
    const { lowest } = this.#bounds;
    let count = 0;
    for (const { nextOffset, first, seal } of this.#set.sealed) {
      const last = first + seal.entries - 1;
      if (nextOffset > lowest || last > Math.min(keepAfter, this.#commit) || last > this.#floor) break;
      count++;
    }
    try {
      if (count > 0) this.#set.removeFirst(count);
      else this.#set.cleanUp();
    } catch (reason) {
      throw this.#refused(reason);
    }
    this.#refreshBounds();
    return count;
  }

  /**
   * Throws away everything and begins anew behind `start`: a snapshot was received. `also` is written to the stable
   * store in the same transaction.
   */
  reset(start: LogStart, also: CatalogChanges = {}): void {
    this.#checkUsable();
    try {
      this.#set.reset(start, also);
    } catch (reason) {
      throw this.#refused(reason);
    }
    this.#staged = [];
    this.#end = start.end;
    this.#durable = start.end.index;
    this.#synced = this.#durable;
    this.#cuts++;
    this.#commit = start.end.index;
    this.#wanted = this.#commit;
    this.#floor = this.#commit;
    this.frameCache.clear();
    this.reader.forget();
    this.state = LogState.from(start.checkpoint);
    this.state.producers.onCommitted = this.#onProduced;
    this.state.commitTo(this.#commit);
    this.#refreshBounds();
    this.changed.notify();
  }

  /** Waits for nothing: an owner that has a flush under way awaits it first. Harmless when called again. */
  close(): void {
    if (this.#closed) return;
    this.#scrub?.close();
    if (this.#failure === undefined && this.#set.active !== undefined) {
      this.#syncActive();
      this.#receipts();
      this.syncIndex();
      if (this.#floor < this.#commit) this.#writeFloor(this.#commit);
    }
    this.#closed = true;
    this.#set.close();
    this.changed.notify();
  }

  /** Segments as people want to see them, committed records only. */
  describeSegments(): SegmentDescription[] {
    const { next } = this.#bounds;
    return this.#set.all.map((segment) => ({
      ...segment.describe(),
      nextOffset: Math.min(next, segment.nextOffset),
    }));
  }

  /** Sealed segments, for retention and for sending them away whole. */
  get sealed(): readonly SealedSegment[] {
    return this.#set.sealed;
  }

  /** The log as retention sees it. */
  get retained(): RetainedLog {
    const { active, sealed } = this.#set;
    return {
      sealed,
      active: active !== undefined && active.nextOffset > active.baseOffset ? active : undefined,
      activeCommitted: this.#commit === this.#end.index,
      lowest: this.#bounds.lowest,
    };
  }

  get openFiles(): { readonly stores: number; readonly mappings: number } {
    return { stores: this.#files.stores.size, mappings: this.#files.indexes.size };
  }

  // ── writing ──

  /** Writes happen between the steps: each part goes to the end of the segment that is active then. */
  *#parts(groups: readonly FrameGroup[]): Generator<Uint8Array> {
    for (const { bytes, positions, first } of groups) {
      const frames = positions.length - 1;
      let k = Math.max(0, this.#durable + 1 - first);
      if (this.#set.active !== undefined) k = Math.max(k, this.#set.end.index + 1 - first);
      while (k < frames) {
        if (this.#set.mustRoll(bytes, positions[k]!, this.state)) this.#roll(bytes, positions[k]!);
        const active = this.#set.active!;
        const end = this.#set.runFrom(k, bytes, positions, this.state);
        const written = bytes.subarray(positions[k]!, positions[end]!);
        yield written;
        for (; k < end; k++) {
          const at = positions[k]!;
          active.enter(bytes, at, positions[k + 1]! - at, endOfFrame(bytes, at));
        }
        this.#unsyncedIndexBytes += written.length;
      }
    }
  }

  #roll(bytes: Uint8Array, at: number): void {
    this.#syncActive();
    this.#set.roll(bytes, at, this.state, this.#commit, (reason) => this.#poison(reason));
    this.#floor = Math.max(this.#floor, this.#commit);
    this.#unsyncedIndexBytes = 0;
    this.#refreshBounds();
  }

  #syncActive(): void {
    const { active } = this.#set;
    if (active === undefined) return;
    const began = this.#meter?.nowMs() ?? 0;
    try {
      active.sync();
    } catch (reason) {
      throw this.#poison(reason);
    }
    this.#synced = Math.max(this.#synced, active.end.index);
    this.#meter?.synced(began);
  }

  async #syncAside(active: ActiveSegment): Promise<void> {
    const began = this.#meter?.nowMs() ?? 0;
    try {
      await active.syncAsync();
    } catch (reason) {
      throw this.#poison(reason);
    }
    this.#meter?.synced(began);
  }

  /** Behind the last record that was written. */
  get #writtenOffset(): Offset {
    return this.#set.end.nextOffset;
  }

  /** What was asked for is written (and synced): receipts, then the durable index, then what waits for it. */
  #flushed(groups: readonly FrameGroup[], synced: boolean): void {
    const last = groups[groups.length - 1];
    if (last === undefined) return;
    this.#staged.splice(0, groups.length);
    if (synced) this.#receipts();
    this.#durable = lastOfGroup(last);
    if (synced) this.#synced = Math.max(this.#synced, this.#durable);
    this.#refusal = undefined;
    if (this.#wanted > this.#commit) this.commitTo(this.#wanted);
  }

  #receipts(): void {
    try {
      this.#set.active?.writeReceipts();
      if (this.#unsyncedIndexBytes >= indexSyncBytes) this.syncIndex();
    } catch (reason) {
      // Without room for receipts the frames are none the less durable; the receipts follow when there is room.
      if (troubleOf(reason) === "lost") throw this.#failure ?? this.#poison(reason);
    }
  }

  /** What was written whole is kept and made durable, a part of a frame is cut off again. */
  #writeFailed(reason: unknown): never {
    if (this.#failure !== undefined || troubleOf(reason) === "lost") {
      throw this.#failure ?? this.#poison(reason);
    }
    const { active } = this.#set;
    if (active !== undefined) {
      try {
        active.cutBack();
      } catch (second) {
        throw this.#poison(second);
      }
      this.#receipts();
      this.#durable = Math.max(this.#durable, active.end.index);
      this.#synced = Math.max(this.#synced, active.end.index);
      this.#staged = this.#staged.filter((group) => lastOfGroup(group) > this.#durable);
    }
    throw this.#refused(reason);
  }

  /** What to throw for an operation after which everything is as it was, unless bytes may be lost. */
  #refused(reason: unknown): Fault {
    // A lookup in a sealed segment was refused: it is a Fault already.
    if (this.#failure === undefined && isRefusal(reason)) return this.#note(reason);
    if (this.#failure !== undefined || troubleOf(reason) === "lost")
      return this.#failure ?? this.#poison(reason);
    return this.#note(diskFault(reason));
  }

  #poison(reason: unknown): Fault {
    this.#failure ??= new Fault("disk-failed", { written: "unknown", cause: reason });
    return this.#failure;
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw new Fault("disk-failed", { cause: this.#failure });
    if (this.#closed) throw new Fault("unavailable", { message: "the log is closed" });
  }

  // ── looking ──

  /** Where the log would end if `index` were its last. */
  #endAt(index: RaftIndex): ChainEnd {
    if (index === this.#end.index) return this.#end;
    const frame = this.frameCache.frame(index);
    if (frame !== undefined) return endOfFrame(frame, 0);
    return this.#set.endAt(index);
  }

  /** The state of what is on disk, and then staged, folded anew. */
  #foldState(): LogState {
    const { origin, sealed, active } = this.#set;
    const state = foldSealed(this.#catalog, origin, this.#floor, sealed, active?.meta);
    if (active !== undefined) foldSegment(active, active.meta, state);
    const written = this.#set.end.index;
    for (const { bytes, positions, first } of this.#staged) {
      for (let k = Math.max(0, written + 1 - first); k < positions.length - 1; k++)
        state.stage(bytes, positions[k]!);
    }
    return state;
  }

  #writeFloor(index: RaftIndex): void {
    try {
      this.#catalog.write(catalogChange.commit(index));
      this.#floor = index;
    } catch (reason) {
      // Only a saving at the next opening: what is refused is left for the next segment.
      if (troubleOf(reason) === "lost") throw this.#poison(reason);
    }
  }

  /** Only where a scrub goes on after the next start: with no room, or nothing written any more, it is not kept. */
  #quietlyKeep(scrubbed: RaftIndex): void {
    try {
      if (this.#failure === undefined) this.#catalog.write(catalogChange.scrubbed(scrubbed));
    } catch (reason) {
      if (troubleOf(reason) === "lost") this.#poison(reason);
    }
  }

  #refreshBounds(): void {
    const next = this.#nextOffsetAt(this.#commit);
    // Behind a snapshot the lowest offset of its state may be one that this node never had.
    const begin = this.#set.all[0]?.baseOffset ?? this.#set.before.nextOffset;
    this.#bounds = { lowest: Math.min(next, Math.max(this.state.lowest, begin)), next };
  }

  /** The offset after the batch at `index`. */
  #nextOffsetAt(index: RaftIndex): Offset {
    if (index === this.#end.index) return this.#end.nextOffset;
    return this.#endAt(index).nextOffset;
  }
}

function doesNotFollow({ index }: ChainEnd, why: ChainFlaw): Fault {
  return new Fault("corrupt", {
    message: `a batch does not follow index ${index} (${why})`,
    facts: { index: index + 1, why },
  });
}

/** Where an empty log begins is asked for; one that has begun knows. */
function initialStart(catalog: Catalog, initialOffset: Offset): LogStart {
  const start = catalog.start();
  if (start.end.index > 0 || initialOffset === 0) return start;
  return {
    end: { ...start.end, nextOffset: initialOffset },
    checkpoint: { ...start.checkpoint, lowest: initialOffset },
  };
}
