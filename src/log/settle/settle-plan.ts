/**
 * Finds what of a sealed segment nothing can read any more: the records of deleted logs, and those below the lowest offset of their
 * log. They stay so. Works in steps.
 */
import type { LogId, Offset } from "../../types.ts";
import type { LogBatches } from "../index/log-index.ts";
import { endOfBatch } from "../segment/live-batches.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";
import type { LogTable } from "../state/log-table.ts";
import type { SegmentSpace } from "./space-census.ts";

/** The size of a settled frame without a producer, in bytes. */
const settledBytes = 81;
/** Stands for all deleted logs. No log has this id. */
const deletedLogs: LogId = -1;
/** Batches that are looked at between two yields. */
const stepBatches = 4096;

export interface SettlePlan extends SegmentSpace {
  /** The records of each log below this offset are dead. Only logs that are in the segment. */
  readonly below: ReadonlyMap<LogId, Offset>;
  /** Batches of dead records, also those that are settled. Counted by the indexes. */
  readonly deadFrames: number;
  /** All its records are dead. */
  readonly isDead: boolean;
}

/** What decides which records can be read. */
export interface ReadableLogs {
  /** The lowest offset of `default`. */
  readonly lowest: Offset;
  readonly table: Pick<LogTable, "peek">;
}

/**
 * `wantsLive`: `live` is needed.
 * @throws Fault "corrupt" if the indexes and the store are damaged
 */
export function* planSettling(
  segment: SealedSegment,
  { lowest, table }: ReadableLogs,
  wantsLive = false,
): Generator<void, SettlePlan> {
  const below = new Map<LogId, Offset>();
  const live = new Map<LogId, number>();
  const counted = new Counted(segment);
  while (!segment.prepareLogs(1)) yield;
  if (segment.baseOffset < lowest) {
    below.set(0, lowest);
    yield* countDefault(counted, segment, lowest);
  }
  const isDefaultDead = segment.nextOffset <= lowest;
  if (wantsLive && !isDefaultDead) live.set(0, segment.seal.entries - (segment.meta.namedBatches ?? 0));
  let namedDead = 0;
  for (const id of segment.logIds()) {
    const row = table.peek(id);
    const from = row === undefined ? Number.POSITIVE_INFINITY : row.lowest;
    const batches = from === 0 && !wantsLive ? undefined : segment.batchesOf(id);
    if (batches !== undefined) {
      const count = from === 0 ? 0 : deadBatches(segment, batches, from);
      if (from > 0) below.set(id, from);
      if (wantsLive && count < batches.length) live.set(id, batches.length - count);
      namedDead += count;
      yield* countNamed(counted, segment, row === undefined ? deletedLogs : id, batches, count);
    }
    yield;
  }
  const isDead = isDefaultDead && namedDead === (segment.meta.namedBatches ?? 0);
  return { below, live, isDead, ...counted.totals };
}

/** How many of the first batches of a log in the segment end below this offset. */
function deadBatches(segment: SealedSegment, batches: LogBatches, lowest: Offset): number {
  let [low, high] = [0, batches.length];
  // The batches that begin below it. All of them but the last one end below it, too.
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batches.offset(middle) < lowest) low = middle + 1;
    else high = middle;
  }
  if (low === 0 || lowest === Number.POSITIVE_INFINITY) return low;
  return endOfBatch(segment, batches.ordinal(low - 1)) <= lowest ? low : low - 1;
}

function* countNamed(
  counted: Counted,
  segment: SealedSegment,
  id: LogId,
  batches: LogBatches,
  count: number,
): Generator<void, void> {
  for (let from = 0; from < count; from += stepBatches) {
    const to = Math.min(count, from + stepBatches);
    const ordinals: number[] = [];
    for (let i = from; i < to; i++) ordinals.push(batches.ordinal(i));
    counted.add(segment, id, ordinals);
    if (to < count) yield;
  }
}

/** The batches of `default` are those after which its next offset rises. */
function* countDefault(counted: Counted, segment: SealedSegment, lowest: Offset): Generator<void, void> {
  const { entries } = segment.seal;
  for (let from = 0; from < entries; from += stepBatches) {
    const to = Math.min(entries, from + stepBatches);
    const ordinals: number[] = [];
    const isOver = segment.lookup((index) => {
      ordinals.length = 0;
      for (let k = from; k < to; k++) {
        if (index.offset(k) >= lowest) return true;
        const next = k + 1 < index.length ? index.offset(k + 1) : segment.nextOffset;
        if (next > index.offset(k) && next <= lowest) ordinals.push(k);
      }
      return false;
    });
    counted.add(segment, 0, ordinals);
    if (isOver) return;
    yield;
  }
}

/** The dead batches that were found, and those of them that are settled. */
class Counted {
  readonly #settled: { readonly frames: number; readonly bytes: number };
  readonly #removed = new Map<LogId, number>();
  #frames = 0;
  #bytes = 0;

  constructor({ meta }: SealedSegment) {
    this.#settled = meta.settled ?? { frames: 0, bytes: 0 };
  }

  add(segment: SealedSegment, id: LogId, ordinals: readonly number[]): void {
    if (ordinals.length === 0) return;
    const found = segment.lookup((index) => {
      let bytes = 0;
      for (const k of ordinals)
        bytes += (k + 1 < index.length ? index.position(k + 1) : segment.bytes) - index.position(k);
      return bytes;
    });
    this.#frames += ordinals.length;
    this.#bytes += found;
    this.#removed.set(id, (this.#removed.get(id) ?? 0) + found);
  }

  get totals(): Pick<SettlePlan, "deadFrames" | "gainBytes" | "removed" | "deletedBytes"> {
    const whole = this.#frames - this.#settled.frames;
    const gainBytes = Math.max(0, this.#bytes - this.#settled.bytes - settledBytes * whole);
    const deletedBytes = this.#removed.get(deletedLogs) ?? 0;
    this.#removed.delete(deletedLogs);
    return { deadFrames: this.#frames, gainBytes, removed: this.#removed, deletedBytes };
  }
}
