/**
 * The committed part of the log, which readers see: its extent, the state folded from it, and the reader.
 *
 * Invariants: commitIndex never falls, and it is at most the durable index. The commit index that the catalog holds
 * (`#savedCommit`) is at most what is synced: after a power failure the log must not end below it.
 */
import type { Broadcast } from "../lib/broadcast.ts";
import { troubleOf } from "../lib/disk/disk.ts";
import type { Bounds, LogId, Offset, RaftIndex } from "../types.ts";
import type { FrameCache } from "./read/frame-cache.ts";
import { Ladders } from "./read/log-ladder.ts";
import { LogView } from "./read/log-view.ts";
import { WalkTurns } from "./read/log-walk.ts";
import type { FollowedLog } from "./read/logs-tail.ts";
import { type ReadableLog, Reader } from "./read/reader.ts";
import type { RecordPieces } from "./read/record-pieces.ts";
import { TailWatch } from "./read/tail-watch.ts";
import { type Catalog, catalogChange, type LogStart } from "./segment/catalog.ts";
import type { Segment } from "./segment/segment.ts";
import type { SegmentSet } from "./segment/segment-set.ts";
import type { CommittedRows, NamesPage } from "./state/committed-rows.ts";
import { type LogRow, shown } from "./state/log-row.ts";
import { LogState } from "./state/log-state.ts";
import type { ProducerTable } from "./state/producer-table.ts";
import type { DiskHealth } from "./write/disk-health.ts";
import type { StagedFrames } from "./write/staged-frames.ts";

export interface CommittedLogParts {
  readonly catalog: Catalog;
  readonly set: SegmentSet;
  readonly staged: StagedFrames;
  readonly frameCache: FrameCache;
  readonly health: DiskHealth;
  /** Notified when more is committed. */
  readonly changed: Broadcast;
  readonly state: LogState;
  /** The commit index in the catalog. */
  readonly savedCommit: RaftIndex;
  readonly onRolled: () => void;
  readonly readCacheBytesMax: number | undefined;
  /** Of the monotonic clock, if there is one. */
  readonly nowMs: (() => number) | undefined;
  /** Of the clock, if there is one. */
  readonly soon: ((callback: () => void) => void) | undefined;
}

/** How much of the log is on disk. */
export interface WrittenExtent {
  readonly durableIndex: RaftIndex;
  readonly syncedIndex: RaftIndex;
}

/** Beyond this, views that no reader uses are dropped. */
const viewsMax = 1_000;
const viewsLooked = 4;
const noLogs: ReadonlySet<LogId> = new Set();

export class CommittedLog implements ReadableLog, FollowedLog {
  readonly frameCache: FrameCache;
  readonly reader: Reader;
  readonly nowMs: (() => number) | undefined;
  /** Where named logs are, and the walks that find that out. */
  readonly ladders = new Ladders();
  readonly walks: WalkTurns;
  /** The tails of several logs. */
  readonly tails = new TailWatch();
  readonly #catalog: Catalog;
  readonly #set: SegmentSet;
  readonly #staged: StagedFrames;
  readonly #health: DiskHealth;
  readonly #changed: Broadcast;
  readonly #onRolled: () => void;
  #state: LogState;
  #onProduced: LogState["producers"]["onCommitted"];
  #commitIndex: RaftIndex;
  /** Committed in the cluster, maybe not durable here yet. */
  #knownCommit: RaftIndex;
  #savedCommit: RaftIndex;
  #bounds: Bounds = { lowest: 0, next: 0 };
  readonly #views = new Map<LogId, LogView>();
  /** Views that were dropped. A reader may hold one between two waits. */
  readonly #dropped = new Map<LogId, WeakRef<LogView>>();
  readonly #collected = new FinalizationRegistry<LogId>((id) => {
    if (this.#dropped.get(id)?.deref() === undefined) this.#dropped.delete(id);
  });
  /** The named logs that changed with the commit that is under way, and their views. */
  #changedLogs: ReadonlySet<LogId> = noLogs;
  readonly #woken: LogView[] = [];
  #resets = 0;

  constructor(parts: CommittedLogParts) {
    this.#catalog = parts.catalog;
    this.#set = parts.set;
    this.#staged = parts.staged;
    this.frameCache = parts.frameCache;
    this.nowMs = parts.nowMs;
    this.walks = new WalkTurns(parts.soon);
    this.#health = parts.health;
    this.#changed = parts.changed;
    this.#state = parts.state;
    this.#savedCommit = parts.savedCommit;
    this.#onRolled = parts.onRolled;
    this.#commitIndex = Math.max(parts.state.committedIndex, parts.savedCommit);
    this.#knownCommit = this.#commitIndex;
    this.#state.commitTo(this.#commitIndex);
    this.#state.onLogsChanged = this.#logsChanged;
    this.refreshBounds();
    this.reader = new Reader(this, parts.readCacheBytesMax);
  }

  get state(): LogState {
    return this.#state;
  }

  get pieces(): RecordPieces {
    return this.reader.pieces;
  }

  get segments(): readonly Segment[] {
    return this.#set.all;
  }

  get commitIndex(): RaftIndex {
    return this.#commitIndex;
  }

  /** The commit index that the catalog holds: opening finds everything up to it. */
  get savedCommit(): RaftIndex {
    return this.#savedCommit;
  }

  get bounds(): Bounds {
    return this.#bounds;
  }

  get life(): number {
    return this.#state.logs.life;
  }

  get resets(): number {
    return this.#resets;
  }

  /** Calls back for each batch of a producer that is committed here, not for those that a snapshot contains. */
  onProduced(listener: NonNullable<LogState["producers"]["onCommitted"]>): void {
    this.#onProduced = listener;
    this.#state.producers.onCommitted = listener;
  }

  /** Everything up to `index` is committed. Shows it to readers as far as it is durable, the rest with advance(). */
  commitTo(index: RaftIndex, written: WrittenExtent): void {
    this.#knownCommit = Math.max(this.#knownCommit, index);
    const to = Math.min(this.#knownCommit, written.durableIndex);
    if (to <= this.#commitIndex) return;
    const from = this.#commitIndex + 1;
    const { next } = this.#bounds;
    this.frameCache.expose(from, to);
    this.#changedLogs = noLogs;
    this.#state.commitTo(to);
    this.#commitIndex = to;
    this.refreshBounds();
    this.reader.committed();
    this.saveAtBoundary(written);
    this.#changed.notify();
    for (const view of this.#woken.splice(0)) view.changed.notify();
    if (this.tails.size === 0) return;
    const changed = this.#bounds.next > next ? [0, ...this.#changedLogs] : [...this.#changedLogs];
    if (changed.length > 0) this.tails.committed(from, changed, this.#tailedName);
  }

  /** More of the log became durable: shows what is known to be committed. */
  advance(written: WrittenExtent): void {
    if (this.#knownCommit > this.#commitIndex) this.commitTo(this.#knownCommit, written);
  }

  /** Saves the commit index once per segment, so that opening needs no segment before the active one for the state. */
  saveAtBoundary({ syncedIndex }: WrittenExtent): void {
    const known = Math.min(this.#commitIndex, syncedIndex);
    const boundary = (this.#set.active?.first ?? 1) - 1;
    if (this.#savedCommit < boundary && known >= boundary) this.#save(known);
  }

  /** Saves the commit index before the log is closed. Everything is synced. */
  saveAtClose(): void {
    if (this.#savedCommit < this.#commitIndex) this.#save(this.#commitIndex);
  }

  /** A new segment began. The catalog saved the commit index with it. */
  rolled(): void {
    this.#savedCommit = Math.max(this.#savedCommit, this.#commitIndex);
    this.refreshBounds();
    this.#onRolled();
  }

  /** The frames from `from` on were cut off. They were not committed. */
  truncate(from: RaftIndex): void {
    this.#knownCommit = Math.min(this.#knownCommit, from - 1);
    this.#state.truncate(from);
    this.refreshBounds();
  }

  /** The log was replaced by one that begins after `start`, with these named logs, and this table of its producers, if there is one. */
  reset({ end, checkpoint }: LogStart, rows: CommittedRows, producers?: ProducerTable): void {
    this.#commitIndex = end.index;
    this.#knownCommit = end.index;
    this.#savedCommit = end.index;
    this.reader.clearCaches();
    this.#state = LogState.from(checkpoint, rows, producers);
    this.#state.producers.onCommitted = this.#onProduced;
    this.#state.commitTo(end.index);
    this.#state.onLogsChanged = this.#logsChanged;
    this.refreshBounds();
    this.#resets++;
    this.ladders.clear();
    this.notifyAll();
  }

  /** The named log of this id, of which a row is committed. All readers of a log share one view. */
  view(id: LogId): LogView {
    const known = this.#views.get(id);
    if (known !== undefined) return known;
    if (this.#views.size >= viewsMax) this.#dropUnused();
    const view = this.#dropped.get(id)?.deref() ?? new LogView(id, this);
    this.#dropped.delete(id);
    this.#views.set(id, view);
    return view;
  }

  /** Looks at the first few views only: with many tails, all of them can be in use. Those in use come last then. */
  #dropUnused(): void {
    for (const [id, view] of [...this.#views.entries().take(viewsLooked)]) {
      this.#views.delete(id);
      if (view.isUsed) this.#views.set(id, view);
      else {
        this.#dropped.set(id, new WeakRef(view));
        this.#collected.register(view, id);
      }
    }
  }

  row(id: LogId): LogRow | undefined {
    return shown(this.#state.logs.row(id));
  }

  storedRow(id: LogId): LogRow | undefined {
    return this.#state.logs.row(id);
  }

  named(name: string): LogRow | undefined {
    return shown(this.#state.logs.named(name));
  }

  namesFrom(prefix: string, after: string, limit: number): NamesPage {
    return this.#state.logs.namesFrom(prefix, after, limit);
  }

  get closed(): boolean {
    return this.#health.closed;
  }

  /** Wakes all tails: the log was closed or replaced, or the node was removed from its cluster. */
  notifyAll(): void {
    this.#changed.notify();
    for (const view of this.#views.values()) view.changed.notify();
    for (const view of this.#dropped.values()) view.deref()?.changed.notify();
    this.tails.wakeAll();
  }

  /** No tail of a prefix shows a cursor. */
  readonly #tailedName = (id: LogId): string | undefined => {
    const row = this.storedRow(id);
    return row?.cursor === undefined ? row?.name : undefined;
  };

  readonly #logsChanged = (ids: ReadonlySet<LogId>): void => {
    this.#changedLogs = ids;
    for (const id of ids) {
      const view = this.#views.get(id) ?? this.#dropped.get(id)?.deref();
      if (view === undefined) continue;
      this.#woken.push(view);
      if (this.#state.logs.row(id) === undefined) this.#views.delete(id);
    }
  };

  /** Call it after the list of segments changed. */
  refreshBounds(): void {
    const next = this.nextOffsetAt(this.#commitIndex);
    // After a snapshot, the lowest offset of its state may be one that this node never stored.
    const begin = this.#set.all[0]?.baseOffset ?? this.#set.before.nextOffset;
    this.#bounds = { lowest: Math.min(next, Math.max(this.#state.lowest, begin)), next };
  }

  /** The offset after the batch at `index`. */
  nextOffsetAt(index: RaftIndex): Offset {
    return this.#staged.endAt(index).nextOffset;
  }

  #save(index: RaftIndex): void {
    try {
      this.#catalog.write(catalogChange.commit(index));
      this.#savedCommit = index;
    } catch (reason) {
      // The saved commit only shortens the next opening, so a refusal waits for the next segment.
      if (troubleOf(reason) === "lost") throw this.#health.failed(reason);
    }
  }
}
