/**
 * The segments of a log on disk, in order: those that are sealed, then the one that is written. It rolls, cuts off and
 * removes, and brings catalog and files from one state to the next in an order that recovery can finish or undo.
 *
 * Invariant: each segment's first frame follows the last one of the segment before; `start` is where the first begins
 * when there is none.
 *
 * Never: syncs what was written to the active segment, decides when to roll or how far to cut.
 */
import { assert } from "../lib/assert.ts";
import type { RaftIndex } from "../vocabulary.ts";
import { type Catalog, type CatalogChanges, catalogChange, type LogStart } from "./catalog.ts";
import { type ChainEnd, endOfFrame } from "./chain.ts";
import { frameIndex } from "./frame.ts";
import { ActiveIndex } from "./offset-index.ts";
import { readFrame } from "./reader.ts";
import { type Fill, mustRoll } from "./roll.ts";
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
import { emptyCheckpoint, type LogState } from "./state.ts";

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
   * synced. `broken` is told when a roll that failed could not be taken back: then nothing is known any more.
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
    try {
      const seal = empty ? undefined : old.seal();
      const sealedMeta = seal === undefined ? undefined : { ...old!.meta, seal };
      if (sealedMeta !== undefined) changes.push(catalogChange.segment(sealedMeta));
      this.#writeIndex(meta, new ActiveIndex(baseOf(meta)));
      this.#files.replace(this.#files.storePath(first), new Uint8Array(0));
      this.#files.disk.syncDirectory(this.#files.directory);
      this.#catalog.write(...changes);
      if (sealedMeta !== undefined)
        this.#sealed = [...this.#sealed, new SealedSegment(sealedMeta, this.#files, this.#directoryId)];
    } catch (reason) {
      if (!empty) quietly(() => old.unseal(), broken);
      throw reason;
    }
    old?.close();
    this.#active = new ActiveSegment(meta, new ActiveIndex(baseOf(meta)), this.#files, {
      bytes: 0,
      end: meta.before,
      receipts: 0,
    });
    this.#refresh();
  }

  /** Cuts off everything from `from` on, durably; `end` is the end of what stays. */
  truncate(from: RaftIndex, end: ChainEnd): void {
    const gone = this.#all.filter(({ first }) => first >= from);
    if (gone.length > 0) {
      this.#active!.close();
      this.#active = undefined;
      const rest = this.#sealed.filter(({ first }) => first < from);
      const changes: CatalogChanges[] = [];
      if (rest.length === 0) {
        const start = { end, checkpoint: this.start.checkpoint };
        changes.push(catalogChange.start(start));
        this.#start = start;
      }
      this.#removeFiles(gone, ...changes);
      const last = rest.pop();
      this.#sealed = rest;
      if (last !== undefined) this.#active = this.#unseal(last);
    }
    const active = this.#active;
    if (active !== undefined && from <= active.end.index) active.truncate(from - active.first, end);
    this.#refresh();
  }

  /** Removes the first segments, which are sealed, for good. */
  removeFirst(count: number): void {
    this.#removeFiles(this.#sealed.slice(0, count));
    this.#sealed = this.#sealed.slice(count);
    this.#refresh();
  }

  /** Removes everything; the log begins anew behind `start`. `also` is written in the same transaction. */
  reset(start: LogStart, also: CatalogChanges): void {
    this.#active?.close();
    this.#active = undefined;
    this.#removeFiles(this.#all, catalogChange.start(start), catalogChange.commit(start.end.index), also);
    this.#sealed = [];
    this.#start = start;
    this.#refresh();
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

  /** Makes the last sealed segment the active one again: its index is copied, written anew and renamed. */
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
    this.#files.disk.syncDirectory(this.#files.directory);
    this.#catalog.write(catalogChange.segment(meta));
    const at = { bytes: storeBytes, end: endOfSealed(segment), receipts: entries };
    return new ActiveSegment(meta, index, this.#files, at);
  }

  /** The catalog forgets them first and notes that their files must go; so a crash in between is finished later. */
  #removeFiles(gone: readonly Segment[], ...changes: readonly CatalogChanges[]): void {
    const firsts = gone.map(({ first }) => first);
    this.#catalog.write(...changes, ...firsts.map(catalogChange.removed), catalogChange.doomed(firsts));
    for (const first of firsts) this.#files.remove(first);
    this.#files.damage.forget(firsts);
    this.#files.disk.syncDirectory(this.#files.directory);
    this.#catalog.write(catalogChange.doomed([]));
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
