/**
 * The segments of a log on disk, in order: those that are sealed, then the one that is written. It rolls, cuts off and
 * removes, and brings catalog and files from one state to the next in an order that recovery can finish or undo.
 *
 * Invariant: each segment's first frame follows the last one of the segment before; `start` is where the first begins
 * when there is none.
 *
 * Never: syncs what was written to the active segment, decides when to roll or how far to cut.
 */
import { assert } from "../../lib/assert.ts";
import { certain, syncNames, troubleOf } from "../../lib/disk/disk.ts";
import type { RaftIndex } from "../../types.ts";
import { type ChainEnd, endOfFrame } from "../frame/chain.ts";
import type { LogSettings } from "../frame/command.ts";
import { frameIndex } from "../frame/frame.ts";
import { emptyCheckpoint, type LogState } from "../state/log-state.ts";
import { type Catalog, type CatalogChanges, catalogChange, type LogStart } from "./catalog.ts";
import { NextSegment } from "./next-segment.ts";
import { ActiveIndex } from "./offset-index.ts";
import { couldRoll, type Fill, mustRoll } from "./roll-policy.ts";
import {
  ActiveSegment,
  baseOf,
  firstOf,
  indexBody,
  SealedSegment,
  type Segment,
  type SegmentMeta,
} from "./segment.ts";
import type { SegmentFiles } from "./segment-files.ts";
import { readFrame } from "./stored-frame.ts";

export interface SegmentSetParts {
  readonly files: SegmentFiles;
  readonly catalog: Catalog;
  readonly directoryId: Uint8Array;
  readonly start: LogStart;
  readonly sealed: readonly SealedSegment[];
  readonly active: ActiveSegment | undefined;
}

export class SegmentSet {
  readonly #files: SegmentFiles;
  readonly #catalog: Catalog;
  readonly #directoryId: Uint8Array;
  #start: LogStart;
  #sealed: readonly SealedSegment[];
  #active: ActiveSegment | undefined;
  #all: readonly Segment[] = [];
  /** Files for the next roll, when they were made ahead. */
  #next: NextSegment | undefined;
  /** First indexes of the segments whose files are still to be removed. */
  #doomed: readonly RaftIndex[] = [];

  constructor({ files, catalog, directoryId, start, sealed, active }: SegmentSetParts) {
    this.#files = files;
    this.#catalog = catalog;
    this.#directoryId = directoryId;
    this.#start = start;
    this.#sealed = sealed;
    this.#active = active;
    this.#refresh();
  }

  get all(): readonly Segment[] {
    return this.#all;
  }

  get sealed(): readonly SealedSegment[] {
    return this.#sealed;
  }

  get active(): ActiveSegment | undefined {
    return this.#active;
  }

  /** Before the first segment. */
  get before(): ChainEnd {
    return this.#firstMeta?.before ?? this.#start.end;
  }

  /** Behind the last frame that was written. */
  get end(): ChainEnd {
    return this.#active?.end ?? this.#start.end;
  }

  /** Where the log starts, as it was opened or reset; segments may lie behind it. */
  get origin(): LogStart {
    return this.#start;
  }

  /** The end of the log before its first segment, and the state there. */
  get start(): LogStart {
    const first = this.#firstMeta;
    if (first === undefined) return this.#start;
    const checkpoint = this.#catalog.checkpoint(firstOf(first));
    return { end: first.before, checkpoint: checkpoint ?? emptyCheckpoint };
  }

  /** Must the frame at `at` begin a new segment? */
  mustRoll(bytes: Uint8Array, at: number, state: LogState): boolean {
    const active = this.#active;
    if (active === undefined) return true;
    return mustRoll(fillOf(active), bytes, at, state.settingsAt(frameIndex(bytes, at)));
  }

  /** The first of the frames from `k` on that does not go into the active segment with the frame at `k`. */
  runFrom(k: number, bytes: Uint8Array, positions: readonly number[], state: LogState): number {
    const active = this.#active;
    assert(active !== undefined, "no segment to write to");
    const { base, bytes: held, entries } = fillOf(active);
    let end = k + 1;
    while (end < positions.length - 1) {
      const at = positions[end]!;
      const fill = { base, bytes: held + at - positions[k]!, entries: entries + end - k };
      if (mustRoll(fill, bytes, at, state.settingsAt(frameIndex(bytes, at)))) break;
      end++;
    }
    return end;
  }

  /**
   * Seals the active segment, if it holds anything, and begins one for the frame at `at`. What was written must be
   * synced. Throws what the disk throws, and then the active segment is the one it was; `broken` is told when that could
   * not be restored: then nothing is known any more.
   */
  roll(
    bytes: Uint8Array,
    at: number,
    state: LogState,
    commit: RaftIndex,
    broken: (reason: unknown) => void,
  ): void {
    const old = this.#active;
    const before = this.end;
    const empty = old === undefined || old.index.length === 0;
    const meta: SegmentMeta = {
      before: before.index === 0 ? { ...before, nextOffset: this.#start.end.nextOffset } : before,
      baseTimestampMs: endOfFrame(bytes, at).timestampMs,
      seal: undefined,
    };
    const first = firstOf(meta);
    const changes = [
      catalogChange.segment(meta),
      catalogChange.checkpoint(first, state.checkpointAt(before.index)),
      catalogChange.commit(commit),
    ];
    const doomed = this.#doomed.filter((one) => one !== first);
    // A segment that had this name may still wait for its removal, which must not take the new one.
    if (doomed.length !== this.#doomed.length) changes.push(catalogChange.doomed(doomed));
    const index = new ActiveIndex(baseOf(meta));
    this.prepare();
    const next = this.#next!;
    this.#next = undefined;
    let opened: ReturnType<NextSegment["name"]>;
    try {
      const seal = empty ? undefined : old.seal();
      const sealedMeta = seal === undefined ? undefined : { ...old!.meta, seal };
      if (sealedMeta !== undefined) changes.push(catalogChange.segment(sealedMeta));
      opened = next.name(first, indexBody(this.#directoryId, meta.before.crc, index));
      this.#catalog.write(...changes);
      if (sealedMeta !== undefined)
        this.#sealed = [...this.#sealed, new SealedSegment(sealedMeta, this.#files, this.#directoryId)];
    } catch (reason) {
      next.close();
      if (!empty) quietly(() => old.unseal(), broken);
      // An empty segment may have lost its files' names to those of the new one.
      else if (old !== undefined) broken(reason);
      throw reason;
    }
    this.#doomed = doomed;
    const extent = { bytes: 0, end: meta.before, receipts: 0 };
    this.#active = new ActiveSegment(meta, index, this.#files, extent, opened);
    this.#refresh();
    old?.close();
  }

  /** Creates and opens the files of the next segment ahead of the roll. Throws what the disk throws: nothing was changed. */
  prepare(): void {
    this.#next ??= new NextSegment(this.#files);
  }

  /** Could a write of so many batches, of so many bytes together, roll? `ahead`: what is to be written before it. */
  couldRoll(
    ahead: { readonly bytes: number; readonly batches: number },
    timestampMs: number,
    settings: LogSettings,
  ): boolean {
    const active = this.#active;
    return (
      active === undefined || couldRoll(fillOf(active), ahead.bytes, ahead.batches, timestampMs, settings)
    );
  }

  /**
   * Cuts off everything from `from` on, durably; `end` is the end of what stays. What the disk refuses ("full", "busy")
   * is refused before anything was changed.
   */
  truncate(from: RaftIndex, end: ChainEnd): void {
    const gone = this.#all.filter(({ first }) => first >= from);
    if (gone.length > 0) this.#cutSegments(gone, from, end);
    const active = this.#active;
    if (active !== undefined && from <= active.end.index)
      certain(() => active.truncate(from - active.first, end));
    this.#refresh();
    this.cleanUp();
  }

  /** Removes whole segments from the end; the last one that stays becomes the active one. */
  #cutSegments(gone: readonly Segment[], from: RaftIndex, end: ChainEnd): void {
    const rest = this.#sealed.filter(({ first }) => first < from);
    const last = rest.pop();
    const reopened = last === undefined ? undefined : this.#unseal(last);
    const start = last === undefined ? { end, checkpoint: this.start.checkpoint } : this.#start;
    try {
      this.#forget(
        gone,
        reopened === undefined ? catalogChange.start(start) : catalogChange.segment(reopened.meta),
      );
    } catch (reason) {
      reopened?.close();
      throw reason;
    }
    this.#active?.close();
    this.#active = reopened;
    this.#sealed = rest;
    this.#start = start;
  }

  /** Removes the first segments, which are sealed. */
  removeFirst(count: number): void {
    this.#forget(this.#sealed.slice(0, count));
    this.#sealed = this.#sealed.slice(count);
    this.#refresh();
    this.cleanUp();
  }

  /** Removes everything; the log begins again behind `start`. `also` is written in the same transaction. */
  reset(start: LogStart, also: CatalogChanges): void {
    this.#forget(this.#all, catalogChange.start(start), catalogChange.commit(start.end.index), also);
    this.#active?.close();
    this.#active = undefined;
    this.#sealed = [];
    this.#start = start;
    this.#refresh();
    this.cleanUp();
  }

  /** The segment that holds `index`, which must be here. */
  of(index: RaftIndex): Segment {
    let [low, high] = [0, this.#all.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#all[middle]!.first <= index) low = middle + 1;
      else high = middle;
    }
    return this.#all[low - 1]!;
  }

  /** Where the log would end if `index`, which is written or just before the first, were its last. */
  endAt(index: RaftIndex): ChainEnd {
    const metas = [...this.#sealed, this.#active].map((segment) => segment?.meta.before);
    for (const end of [...metas, this.#start.end]) if (end?.index === index) return end;
    const segment = this.of(index);
    const k = index - segment.first;
    const [position, next] = segment.lookup((entries) => [
      entries.position(k),
      k + 1 < entries.length ? entries.position(k + 1) : segment.bytes,
    ]);
    return endOfFrame(readFrame(segment, index, position, next - position), 0);
  }

  close(): void {
    this.#active?.close();
    this.#next?.close();
    this.#next = undefined;
    this.#files.close();
  }

  get #firstMeta(): SegmentMeta | undefined {
    return this.#sealed[0]?.meta ?? this.#active?.meta;
  }

  #refresh(): void {
    this.#all = this.#active === undefined ? this.#sealed : [...this.#sealed, this.#active];
  }

  #writeIndex(meta: SegmentMeta, index: ActiveIndex): void {
    const path = this.#files.indexPath(firstOf(meta));
    this.#files.replace(path, indexBody(this.#directoryId, meta.before.crc, index));
  }

  /**
   * Opens the last sealed segment as an active one; its index is copied, written again without a footer and renamed. The
   * catalog still calls it sealed: should it come to nothing, the index is built again from the store.
   */
  #unseal(segment: SealedSegment): ActiveSegment {
    const meta: SegmentMeta = { ...segment.meta, seal: undefined };
    const index = new ActiveIndex(baseOf(meta));
    const { storeBytes, entries } = segment.seal;
    segment.lookup((from) => {
      index.truncate(0);
      for (let k = 0; k < from.length; k++)
        index.append(from.offset(k), from.position(k), from.term(k), from.timestampMs(k));
    });
    this.#files.drop(segment.first);
    this.#writeIndex(meta, index);
    syncNames(this.#files.disk, this.#files.directory);
    const at = { bytes: storeBytes, end: endOfSealed(segment), receipts: entries };
    return ActiveSegment.open(meta, index, this.#files, at);
  }

  /** The catalog forgets them and notes that their files are to be removed, in one transaction. */
  #forget(gone: readonly Segment[], ...changes: readonly CatalogChanges[]): void {
    const firsts = gone.map(({ first }) => first);
    const doomed = [...new Set([...this.#doomed, ...firsts])];
    this.#catalog.write(...changes, ...firsts.map(catalogChange.removed), catalogChange.doomed(doomed));
    this.#doomed = doomed;
    this.#files.damage.forget(firsts);
  }

  /** Removes the files of forgotten segments. What the disk refuses is left for the next time, or for the next opening. */
  cleanUp(): void {
    if (this.#doomed.length === 0) return;
    try {
      for (const first of this.#doomed) this.#files.remove(first);
      syncNames(this.#files.disk, this.#files.directory);
      this.#catalog.write(catalogChange.doomed([]));
    } catch (reason) {
      if (troubleOf(reason) === "lost") throw reason;
      return;
    }
    this.#doomed = [];
  }
}

const fillOf = ({ index, bytes }: ActiveSegment): Fill => ({
  base: index.base,
  bytes,
  entries: index.length,
});

function endOfSealed({ meta, seal }: SealedSegment): ChainEnd {
  return {
    index: meta.before.index + seal.entries,
    term: seal.lastTerm,
    nextOffset: seal.nextOffset,
    timestampMs: seal.lastTimestampMs,
    crc: seal.lastCrc,
  };
}

function quietly(work: () => void, broken: (reason: unknown) => void): void {
  try {
    work();
  } catch (reason) {
    broken(reason);
  }
}
