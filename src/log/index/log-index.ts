/**
 * The log index of a segment: where the batches of each named log are in it. `default` is found by the offset index. Here is that of
 * the active segment, in memory; sealed-log-index.ts has the file of a sealed one.
 */
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import type { OffsetIndex } from "./offset-index.ts";

/** The batches of one log in one segment, in order: at least one. */
export interface LogBatches {
  readonly length: number;
  /** The ordinal of batch `i` of the log in the segment. */
  ordinal(i: number): number;
  /** The offset of its first record, in the log. */
  offset(i: number): Offset;
  /** Where it stands in the store. Undefined if only the offset index says that. */
  extent?(i: number): BatchExtent | undefined;
  /** Where its entries are in the file of the log index, from 0 to 1. Undefined if that is not known. */
  readonly share?: number | undefined;
  /** The Raft index of the log's last batch before this segment; 0 if there is none. */
  readonly previous: RaftIndex;
}

/** A place in the store, in bytes. */
export interface BatchExtent {
  readonly position: number;
  readonly bytes: number;
}

/** Where batches stand in a store of `storeBytes` bytes that `index` describes. */
export function extentIn(
  index: Pick<OffsetIndex, "length" | "position">,
  ordinal: number,
  storeBytes: number,
): BatchExtent {
  const position = index.position(ordinal);
  const end = ordinal + 1 < index.length ? index.position(ordinal + 1) : storeBytes;
  return { position, bytes: end - position };
}

class GrowingBatches implements LogBatches {
  readonly previous: RaftIndex;
  readonly ordinals: number[];
  readonly #offsets: OffsetColumn;

  /** With its first batch. */
  constructor(previous: RaftIndex, ordinal: number, offsets: OffsetColumn) {
    this.previous = previous;
    // An array that begins with an element holds no room for more: most logs have few batches in a segment.
    this.ordinals = [ordinal];
    this.#offsets = offsets;
  }

  get length(): number {
    return this.ordinals.length;
  }

  ordinal(i: number): number {
    return this.ordinals[i]!;
  }

  offset(i: number): Offset {
    return this.#offsets.at(this.ordinals[i]!);
  }
}

/** The offset of each batch, by its ordinal in the segment. One array for all logs costs less than one for each. */
class OffsetColumn {
  #offsets = new Float64Array(64);

  at(ordinal: number): Offset {
    return this.#offsets[ordinal]!;
  }

  set(ordinal: number, offset: Offset): void {
    if (ordinal >= this.#offsets.length) {
      const grown = new Float64Array(Math.max(ordinal + 1, 2 * this.#offsets.length));
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    this.#offsets[ordinal] = offset;
  }
}

/** The log index of the active segment. */
export class ActiveLogIndex {
  readonly #logs = new Map<LogId, GrowingBatches>();
  readonly #offsets = new OffsetColumn();
  readonly #touched = new Set<LogId>();
  #entries = 0;
  #frames = 0;
  #commands = 0;

  /** Batches of named logs. */
  get entries(): number {
    return this.#entries;
  }

  /** How many logs the frames are about, also those that were cut off. */
  get touched(): number {
    return this.#touched.size;
  }

  /** How many frames are about named logs, also those that were cut off. */
  get frames(): number {
    return this.#frames;
  }

  /** How many of these hold no records. */
  get commands(): number {
    return this.#commands;
  }

  /** A frame is about this log, or is of this cursor. `isCommand`: it holds no records, and is of no cursor. */
  touch(id: LogId, isCommand: boolean): void {
    this.#touched.add(id);
    this.#frames++;
    if (isCommand) this.#commands++;
  }

  find(id: LogId): LogBatches | undefined {
    return this.#logs.get(id);
  }

  ids(): IterableIterator<LogId> {
    return this.#logs.keys();
  }

  /** The ids after this one, in order: all of them, because they are in memory. */
  idsAfter(id: LogId): readonly LogId[] {
    return [...Uint32Array.from(this.#logs.keys()).sort()].filter((one) => one > id);
  }

  /** Adds a batch with records. `previous` returns the index of the log's last batch; it is asked once for each log. */
  append(id: LogId, ordinal: number, offset: Offset, previous: () => RaftIndex): void {
    this.#entries++;
    this.#offsets.set(ordinal, offset);
    const batches = this.#logs.get(id);
    if (batches === undefined) this.#logs.set(id, new GrowingBatches(previous(), ordinal, this.#offsets));
    else batches.ordinals.push(ordinal);
  }

  /** Bytes of the batches, which stand in a store of `storeBytes` bytes that `index` describes. */
  bytesIn(index: Pick<OffsetIndex, "length" | "position">, storeBytes: number): number {
    let bytes = 0;
    for (const { ordinals } of this.#logs.values())
      for (const ordinal of ordinals) bytes += extentIn(index, ordinal, storeBytes).bytes;
    return bytes;
  }

  /** Removes the batches from this ordinal on. */
  truncate(ordinal: number): void {
    for (const [id, { ordinals }] of this.#logs) {
      while (ordinals.length > 0 && ordinals[ordinals.length - 1]! >= ordinal) {
        ordinals.pop();
        this.#entries--;
      }
      if (ordinals.length === 0) this.#logs.delete(id);
    }
  }
}

/** The last batch whose first record is at `offset` or before it, or −1. */
export function lastBatchAt(batches: LogBatches, offset: Offset): number {
  let [low, high] = [0, batches.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (batches.offset(middle) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
