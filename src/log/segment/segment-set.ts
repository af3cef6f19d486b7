/**
 * The segments of a log on disk, in order: the sealed ones, then the active one. Rolls, cuts off and removes segments.
 * Each of these prepares everything that the disk can refuse, commits with one write of the catalog, and cleans up, so
 * that a refusal changes nothing and recovery can finish or undo what a crash interrupts.
 *
 * Invariant: each segment's first frame follows the last one of the segment before. `start` is where the first segment
 * begins if there is none.
 */
import { assert } from "../../lib/assert.ts";
import { certain } from "../../lib/disk/disk.ts";
import type { RaftIndex, Term } from "../../types.ts";
import { type ChainEnd, defaultAfter, endAfter } from "../frame/chain.ts";
import type { LogSettings } from "../frame/command.ts";
import { frameIndex, frameLogId, frameTimestampMs } from "../frame/frame.ts";
import { namedLogsLevel } from "../frame/log-command.ts";
import { ActiveLogIndex } from "../index/log-index.ts";
import { ActiveIndex } from "../index/offset-index.ts";
import { indexBody, isNamedCommand } from "../index/segment-index.ts";
import type { ProducersFile } from "../producers/producers-file.ts";
import { SegmentCheckpoints } from "../producers/segment-checkpoints.ts";
import type { LogState } from "../state/log-state.ts";
import { emptyHead, type TableHead } from "../state/row-codec.ts";
import { PendingRemovals } from "../write/pending-removals.ts";
import { unsealed } from "../write/unseal.ts";
import { ActiveSegment } from "./active-segment.ts";
import type { Catalog, CatalogChanges, LogStart, RowFiles, StoredStart } from "./catalog.ts";
import { catalogChange, fileOf, startWith, startWithout } from "./catalog.ts";
import { segmentOfIndex } from "./find-segment.ts";
import { NextSegment } from "./next-segment.ts";
import { couldRoll, mustRoll } from "./roll-policy.ts";
import { SealedSegment, type SealedSegments } from "./sealed-segment.ts";
import { baseOf, firstOf, metaAfter, type Segment, type SegmentMeta } from "./segment.ts";
import type { SegmentFiles } from "./segment-files.ts";
import { readFrame } from "./stored-frame.ts";

export interface SegmentSetParts {
  readonly files: SegmentFiles;
  readonly catalog: Catalog;
  readonly directoryId: Uint8Array;
  readonly start: StoredStart;
  readonly all: SealedSegments;
  readonly active: ActiveSegment | undefined;
  /** More producers than these are in a file. */
  readonly inlineProducersMax: number;
  /** Runs a callback in a later turn of the event loop. Without it, the files of removed segments are removed at once. */
  readonly soon?: ((callback: () => void) => void) | undefined;
}

export class SegmentSet {
  readonly #files: SegmentFiles;
  readonly #catalog: Catalog;
  readonly #directoryId: Uint8Array;
  #start: StoredStart;
  readonly #segments: SealedSegments;
  #active: ActiveSegment | undefined;
  /** The highest level that the format of the directory can hold. */
  levelHeld: number;
  #rowFiles: RowFiles;
  #all: readonly Segment[] = [];
  /** The files of the next segment, if they were created ahead of the roll. */
  #next: NextSegment | undefined;
  readonly checkpoints: SegmentCheckpoints;
  readonly removals: PendingRemovals;

  constructor(parts: SegmentSetParts) {
    const { files, catalog, directoryId, start, all, active, soon } = parts;
    this.removals = new PendingRemovals(files, catalog, soon);
    this.#files = files;
    this.#catalog = catalog;
    this.#directoryId = directoryId;
    this.#start = start;
    this.#segments = all;
    this.#active = active;
    this.levelHeld = catalog.level();
    this.#rowFiles = catalog.rowFiles();
    this.#refresh();
    const firsts = this.levelHeld > 0 ? this.#all.map(({ first }) => first) : [];
    this.checkpoints = new SegmentCheckpoints(catalog, parts.inlineProducersMax, firsts);
  }

  get all(): readonly Segment[] {
    return this.#all;
  }

  get sealed(): readonly SealedSegment[] {
    return this.#segments.sealed;
  }

  get active(): ActiveSegment | undefined {
    return this.#active;
  }

  /** The end of the log before the first segment. */
  get before(): ChainEnd {
    return this.#firstMeta?.before ?? this.#start.end;
  }

  /** The end of the log after the last written frame. */
  get end(): ChainEnd {
    return this.#active?.end ?? this.#start.end;
  }

  /** The end of the log before its first segment, and the state there. Many producers are in a file. */
  get start(): StoredStart {
    const first = this.#firstMeta;
    return first === undefined ? this.#start : this.#catalog.storedStart(first);
  }

  /** The files of the rows of named logs. */
  get rowFiles(): RowFiles {
    return this.#rowFiles;
  }

  /** The table of named logs, without rows, before the segment that begins after `index`. */
  headAfter(index: RaftIndex): TableHead {
    return this.#catalog.checkpointHead(index + 1)?.logs ?? emptyHead;
  }

  /** Changes the generation of the database of rows, durably. */
  saveGeneration(generation: number): void {
    const files = { ...this.#rowFiles, generation };
    this.#catalog.write(catalogChange.rowFiles(files));
    this.#rowFiles = files;
  }

  /** Returns true if the frame at `at` must begin a new segment. */
  mustRoll(bytes: Uint8Array, at: number, state: LogState): boolean {
    const active = this.#active;
    if (active === undefined) return true;
    return mustRoll(active.fill, bytes, at, state.settingsAt(frameIndex(bytes, at)));
  }

  /** Returns the first frame after frame `k` that does not go into the active segment with it. */
  runFrom(k: number, bytes: Uint8Array, positions: readonly number[], state: LogState): number {
    const active = this.#active;
    assert(active !== undefined, "no segment to write to");
    const { base, bytes: storeBytes, entries, nextOffset, namedLogs, ...named } = active.fill;
    let next = nextOffset;
    let { namedFrames, namedCommands } = named;
    let end = k + 1;
    while (end < positions.length - 1) {
      const at = positions[end]!;
      const before = positions[end - 1]!;
      next = defaultAfter(bytes, before, next);
      if (frameLogId(bytes, before) !== 0) {
        namedFrames++;
        if (isNamedCommand(bytes, before)) namedCommands++;
      }
      const fill = {
        ...{ base, namedLogs, namedFrames, namedCommands },
        bytes: storeBytes + at - positions[k]!,
        entries: entries + end - k,
        nextOffset: next,
      };
      if (mustRoll(fill, bytes, at, state.settingsAt(frameIndex(bytes, at)))) break;
      end++;
    }
    return end;
  }

  /**
   * Seals the active segment, unless it is empty, and begins one for the frame at `at`. What was written must be synced.
   * Throws what the disk throws; then the active segment is the same as before. `onBroken` is called if it could not be
   * restored: then the state of the disk is unknown.
   */
  roll(
    bytes: Uint8Array,
    at: number,
    state: LogState,
    commit: RaftIndex,
    onBroken: (reason: unknown) => void,
  ): void {
    const old = this.#active;
    const sealable = old === undefined || old.index.length === 0 ? undefined : old;
    const meta = metaAfter(this.end, this.#start.end.nextOffset, frameTimestampMs(bytes, at));
    const first = firstOf(meta);
    const pending = this.removals.beginning(first);
    if (this.checkpoints.areApart(state)) this.markLevel(namedLogsLevel);
    const changes = [
      catalogChange.segment(meta),
      this.checkpoints.beginning(this.end.index, state, this.#all.length === 0),
      catalogChange.commit(commit),
    ];
    if (pending !== undefined) changes.push(pending);
    const index = new ActiveIndex(baseOf(meta));
    this.prepareRoll();
    const next = this.#next!;
    this.#next = undefined;
    let opened: ReturnType<NextSegment["name"]>;
    try {
      const sealed = sealable?.seal(this.#directoryId, this.levelHeld > 0);
      if (sealed !== undefined) changes.push(catalogChange.segment(sealed));
      opened = next.name(first, indexBody(this.#directoryId, meta.before.crc, index));
      this.#catalog.write(...changes);
      if (sealed !== undefined) {
        this.#segments.sealed = [...this.#segments.sealed, this.#sealedOf(sealed)];
      }
    } catch (reason) {
      next.close();
      if (sealable !== undefined) attempt(() => sealable.unseal(), onBroken);
      // The new segment may have replaced the files of an empty one.
      else if (old !== undefined) onBroken(reason);
      throw reason;
    }
    this.removals.began(first);
    this.checkpoints.began(first);
    const extent = { bytes: 0, end: meta.before, receipts: 0 };
    this.#active = new ActiveSegment(meta, index, new ActiveLogIndex(), this.#files, extent, opened);
    this.#refresh();
    old?.close();
  }

  /** Gives the directory the format for logs of this level, durably, before their first frame is written. */
  markLevel(level: number): void {
    if (this.levelHeld >= level) return;
    this.#catalog.write(catalogChange.directory(this.#directoryId, level));
    this.levelHeld = level;
  }

  /** Creates and opens the files of the next segment. Throws what the disk throws; then nothing was changed. */
  prepareRoll(): void {
    this.#next ??= new NextSegment(this.#files);
  }

  /** Returns true if a write of this size could roll. A trim of everything is not considered. */
  couldRoll(
    ahead: { readonly bytes: number; readonly batches: number },
    timestampMs: number,
    settings: LogSettings,
  ): boolean {
    const active = this.#active;
    return active === undefined || couldRoll(active.fill, ahead.bytes, ahead.batches, timestampMs, settings);
  }

  /** Cuts off everything from `from` on, durably. `end` is the end of what stays. A refusal of the disk changes nothing. */
  truncate(from: RaftIndex, end: ChainEnd): void {
    const gone = this.#all.filter(({ first }) => first >= from);
    if (gone.length > 0) this.#cutSegments(gone, from, end);
    const active = this.#active;
    if (active !== undefined && from <= active.end.index)
      certain(() => active.truncate(from - active.first, end));
    this.#refresh();
    this.removals.run();
  }

  /** Removes whole segments from the end. The last segment that stays becomes the active one. */
  #cutSegments(gone: readonly Segment[], from: RaftIndex, end: ChainEnd): void {
    const rest = this.#segments.sealed.filter(({ first }) => first < from);
    const last = rest.pop();
    const reopened = last === undefined ? undefined : unsealed(last, this.#files, this.#directoryId);
    const start = last === undefined ? { ...this.start, end } : this.#start;
    try {
      this.#removeFromCatalog(
        gone,
        reopened === undefined ? catalogChange.start(start) : catalogChange.segment(reopened.meta),
      );
    } catch (reason) {
      reopened?.close();
      throw reason;
    }
    this.#active?.close();
    this.#active = reopened;
    this.#segments.sealed = rest;
    this.#start = start;
  }

  /** How many of the first `count` segments, which are sealed, can be removed now. */
  removable(count: number): number {
    return this.checkpoints.removable(this.#all, count);
  }

  /** Removes the first segments, which are sealed. `base` is the index of the base file that is in use then. */
  removeFirst(count: number, base = this.#rowFiles.base): void {
    assert(this.removable(count) === count, "the log would begin without its producers");
    const files = { ...this.#rowFiles, base };
    // The segment after them has its producers: nothing reads the file of those at the start again.
    const unused = count === 0 ? undefined : fileOf(this.#start.checkpoint);
    const start = unused === undefined ? this.#start : startWithout(this.#start);
    const changes = unused === undefined ? {} : catalogChange.start(start);
    this.#removeFromCatalog(this.#segments.sealed.slice(0, count), catalogChange.rowFiles(files), changes);
    if (unused !== undefined) this.removals.addFile(unused.file);
    this.#start = start;
    this.#rowFiles = files;
    this.#segments.sealed = this.#segments.sealed.slice(count);
    this.#refresh();
    this.removals.run();
  }

  /**
   * Removes everything. The log continues after `start`, the rows of its named logs are in `rowFiles`, its producers in `producers` if
   * that is given. `also` is written in the same transaction.
   */
  reset(start: LogStart, rowFiles: RowFiles, also: CatalogChanges, producers?: ProducersFile): void {
    this.markLevel(start.checkpoint.logs?.level ?? (producers === undefined ? 0 : namedLogsLevel));
    const stored = startWith(start, producers);
    this.#removeFromCatalog(
      this.#all,
      catalogChange.start(stored),
      catalogChange.commit(start.end.index),
      catalogChange.rowFiles(rowFiles),
      also,
    );
    this.#rowFiles = rowFiles;
    this.#active?.close();
    this.#active = undefined;
    this.#segments.sealed = [];
    this.#start = stored;
    this.#refresh();
    this.removals.run();
  }

  /** The term of a written batch, or of the one before the first segment. Undefined below that. */
  term(index: RaftIndex): Term | undefined {
    const { before } = this;
    if (index === before.index) return before.term;
    if (index < before.index) return undefined;
    const segment = segmentOfIndex(this.#all, index);
    return segment.lookup((entries) => entries.term(index - segment.first));
  }

  /** The end of the log as it would be if `index` were its last. `index` is written, or just before the first. */
  endAt(index: RaftIndex): ChainEnd {
    const metas = [...this.#segments.sealed, this.#active].map((segment) => segment?.meta.before);
    for (const end of [...metas, this.#start.end]) if (end?.index === index) return end;
    const segment = segmentOfIndex(this.#all, index);
    const k = index - segment.first;
    const [position, next, nextOffset] = segment.lookup((entries) => [
      entries.position(k),
      k + 1 < entries.length ? entries.position(k + 1) : segment.bytes,
      entries.offset(k),
    ]);
    return endAfter({ nextOffset }, readFrame(segment, index, position, next - position), 0);
  }

  close(): void {
    this.removals.close();
    this.#active?.close();
    this.#next?.close();
    this.#next = undefined;
    this.#files.close();
  }

  get #firstMeta(): SegmentMeta | undefined {
    return this.#segments.sealed[0]?.meta ?? this.#active?.meta;
  }

  #refresh(): void {
    this.#all = this.#active === undefined ? this.#segments.sealed : [...this.#segments.sealed, this.#active];
  }

  /** One segment takes the place of these, which follow each other. The catalog has it already. */
  merged(segments: readonly SealedSegment[], meta: SegmentMeta): void {
    const at = this.#segments.sealed.indexOf(segments[0]!);
    this.checkpoints.removed(segments.slice(1).map(({ first }) => first));
    this.#segments.sealed = this.#segments.sealed.toSpliced(at, segments.length, this.#sealedOf(meta));
    this.#refresh();
  }

  #sealedOf(meta: SegmentMeta): SealedSegment {
    return new SealedSegment(meta, this.#files, this.#directoryId, this.#segments);
  }

  /** Removes segments from the catalog and notes that their files must be removed, in one transaction. */
  #removeFromCatalog(gone: readonly Segment[], ...changes: readonly CatalogChanges[]): void {
    const firsts = gone.map(({ first }) => first);
    this.removals.add(firsts, ...changes);
    for (const segment of gone) if (segment instanceof SealedSegment) segment.gone();
    this.#files.damage.remove(firsts);
    this.checkpoints.removed(firsts);
  }
}

function attempt(work: () => void, onFailure: (reason: unknown) => void): void {
  try {
    work();
  } catch (reason) {
    onFailure(reason);
  }
}
