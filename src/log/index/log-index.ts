/**
 * The log index of a segment: where the batches of each named log are in it. `default` is found by the offset index.
 *
 *   file  := header log* ordinal* offset* crc:u32                                    all little-endian
 *   header := "TRLNAMED" version:u32 logs:u32 entries:u32 0:u32 directory:16 bytes first-index:u64        48 bytes
 *   log   := id:u32 start:u32 count:u32 0:u32 previous:u64                           24 bytes, sorted by id
 *   ordinal := u32       offset := u64              of each batch; those of one log follow each other from its `start` on
 *
 * An ordinal is that of the batch in the segment. `previous` is the Raft index of the log's last batch before the segment,
 * so a reader goes back from one segment that holds the log to the one before. crc covers everything before it.
 */
import { assert } from "../../lib/assert.ts";
import { readU32le, readU64le, writeU32le, writeU64le } from "../../lib/bytes.ts";
import { crc32 } from "../../lib/checksum.ts";
import type { MappedFile } from "../../lib/disk/mapped-file.ts";
import type { LogId, Offset, RaftIndex } from "../../types.ts";
import type { OffsetIndex } from "./offset-index.ts";

/** The batches of one log in one segment, in order: at least one. */
export interface LogBatches {
  readonly length: number;
  /** The ordinal of batch `i` of the log in the segment. */
  ordinal(i: number): number;
  /** The offset of its first record, in the log. */
  offset(i: number): Offset;
  /** The Raft index of the log's last batch before this segment; 0 if there is none. */
  readonly previous: RaftIndex;
}

const magic = Buffer.from("TRLNAMED");
const version = 1;
const headerBytes = 48;
const logBytes = 24;
const batchBytes = 12;

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
    for (const { ordinals } of this.#logs.values()) {
      for (const k of ordinals)
        bytes += (k + 1 < index.length ? index.position(k + 1) : storeBytes) - index.position(k);
    }
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

  /** The content of the file. */
  encode(directoryId: Uint8Array, first: RaftIndex): Uint8Array {
    const logs = [...this.#logs].sort(([one], [other]) => one - other);
    const ordinalsAt = headerBytes + logBytes * logs.length;
    const offsetsAt = ordinalsAt + 4 * this.#entries;
    const bytes = new Uint8Array(offsetsAt + 8 * this.#entries + 4);
    bytes.set(magic);
    writeU32le(bytes, 8, version);
    writeU32le(bytes, 12, logs.length);
    writeU32le(bytes, 16, this.#entries);
    bytes.set(directoryId, 24);
    writeU64le(bytes, 40, first);
    let start = 0;
    for (const [k, [id, { ordinals, previous }]] of logs.entries()) {
      const at = headerBytes + logBytes * k;
      writeU32le(bytes, at, id);
      writeU32le(bytes, at + 4, start);
      writeU32le(bytes, at + 8, ordinals.length);
      writeU64le(bytes, at + 16, previous);
      for (const [i, ordinal] of ordinals.entries()) {
        writeU32le(bytes, ordinalsAt + 4 * (start + i), ordinal);
        writeU64le(bytes, offsetsAt + 8 * (start + i), this.#offsets.at(ordinal));
      }
      start += ordinals.length;
    }
    writeU32le(bytes, bytes.length - 4, crc32(bytes, 0, bytes.length - 4));
    return bytes;
  }
}

/** The log index of a sealed segment over its file. */
export class SealedLogIndex {
  readonly #file: MappedFile;
  readonly #logs: number;
  readonly #entries: number;

  private constructor(file: MappedFile, logs: number, entries: number) {
    this.#file = file;
    this.#logs = logs;
    this.#entries = entries;
  }

  /** Returns undefined unless the file is whole, and of this segment with so many batches of named logs. */
  static open(
    file: MappedFile,
    directoryId: Uint8Array,
    first: RaftIndex,
    entries: number,
  ): SealedLogIndex | undefined {
    if (file.bytes < headerBytes + 4) return undefined;
    const header = file.copy(0, headerBytes);
    const logs = readU32le(header, 12);
    const isOurs =
      magic.compare(header, 0, 8) === 0 &&
      readU32le(header, 8) === version &&
      readU32le(header, 16) === entries &&
      Buffer.compare(header.subarray(24, 40), directoryId) === 0 &&
      readU64le(header, 40) === first;
    if (!isOurs || file.bytes !== headerBytes + logBytes * logs + batchBytes * entries + 4) return undefined;
    if (file.crc32(0, file.bytes - 4) !== file.u32(file.bytes - 4)) return undefined;
    return new SealedLogIndex(file, logs, entries);
  }

  *ids(): Generator<LogId> {
    for (let k = 0; k < this.#logs; k++) yield this.#file.u32(headerBytes + logBytes * k);
  }

  /** At most `max` ids after this one, in order. */
  idsAfter(id: LogId, max: number): LogId[] {
    const ids: LogId[] = [];
    const first = this.#firstAfter(id);
    const last = Math.min(this.#logs, first + max);
    for (let k = first; k < last; k++) ids.push(this.#file.u32(headerBytes + logBytes * k));
    return ids;
  }

  find(id: LogId): LogBatches | undefined {
    const k = this.#indexOf(id);
    if (k < 0) return undefined;
    const file = this.#file;
    const at = headerBytes + logBytes * k;
    const [start, length] = [file.u32(at + 4), file.u32(at + 8)];
    const ordinalsAt = headerBytes + logBytes * this.#logs + 4 * start;
    const offsetsAt = headerBytes + logBytes * this.#logs + 4 * this.#entries + 8 * start;
    const u64 = (position: number): number => file.u32(position) + 2 ** 32 * file.u32(position + 4);
    const check = (i: number): number => {
      assert(i >= 0 && i < length, "no such batch of the log");
      return i;
    };
    return {
      length,
      previous: u64(at + 16),
      ordinal: (i) => file.u32(ordinalsAt + 4 * check(i)),
      offset: (i) => u64(offsetsAt + 8 * check(i)),
    };
  }

  #indexOf(id: LogId): number {
    const k = this.#firstAfter(id) - 1;
    return k >= 0 && this.#file.u32(headerBytes + logBytes * k) === id ? k : -1;
  }

  /** The first of the logs with a higher id, or their number. */
  #firstAfter(id: LogId): number {
    let [low, high] = [0, this.#logs];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#file.u32(headerBytes + logBytes * middle) <= id) low = middle + 1;
      else high = middle;
    }
    return low;
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

/**
 * Returns true if a log index says of each log what `expected` says. The link to the batch before the segment may differ if
 * both lead below `first`, where the log begins: there is nothing to find.
 */
export function sameLogs(found: SealedLogIndex, expected: ActiveLogIndex, first: RaftIndex): boolean {
  const ids = [...found.ids()];
  if (ids.length !== [...expected.ids()].length) return false;
  return ids.every((id) => {
    const [one, other] = [found.find(id), expected.find(id)];
    if (one === undefined || other === undefined || one.length !== other.length) return false;
    if (one.previous !== other.previous && Math.max(one.previous, other.previous) >= first) return false;
    for (let i = 0; i < one.length; i++)
      if (one.ordinal(i) !== other.ordinal(i) || one.offset(i) !== other.offset(i)) return false;
    return true;
  });
}
