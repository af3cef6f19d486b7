/**
 * Rows and changes as bytes: in base files, on the way to the worker, and below the checksum of a row. Pure.
 *
 *   change := id:varint tag:varint [name-bytes:varint name value-bytes:varint value]
 *   tag    := 0 deleted, nothing follows; 1 never due; n + 2: due at n ms
 *
 * On the way to the worker, the row of id 2^32 is an owner: its name, and its value; an empty one if it is removed.
 */
import { readVarint, varintEnd, writeVarint } from "../lib/bytes.ts";
import { crc32 } from "../lib/checksum.ts";
import { type OwnerChange, type RowChange, type StoredRow, valueBytesMax } from "./rows.ts";

const [deletedTag, neverTag, dueTag] = [0, 1, 2];
/** Space for the name, the numbers and the lengths of a row. */
const aroundValueBytes = 5 + 8 + 2 + 255 + 4;
export const idMax = 2 ** 32 - 1;
const nameBytesMax = 255;

/** Packs changes one after the other into a buffer that grows. */
export class RowPacker {
  #bytes: Buffer;
  #length = 0;

  constructor(bytes = 4096) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was packed, valid until the next call. */
  get packed(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** Returns what was packed, as the owner of its memory, and begins again. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.buffer.slice(0, this.#length) as ArrayBuffer;
    this.#length = 0;
    return new Uint8Array(taken);
  }

  push(change: RowChange | OwnerChange): void {
    if ("owner" in change) {
      this.pushRow(ownerRow(change));
      return;
    }
    const { id, row } = change;
    if (row !== undefined) {
      this.pushRow(row);
      return;
    }
    this.#reserve(aroundValueBytes);
    this.#length = writeVarint(this.#bytes, writeVarint(this.#bytes, this.#length, id), deletedTag);
  }

  pushRow({ id, name, dueMs, value }: StoredRow): void {
    this.#reserve(aroundValueBytes + 3 * name.length + value.length);
    const bytes = this.#bytes;
    let at = writeVarint(bytes, this.#length, id);
    at = writeVarint(bytes, at, dueMs === undefined ? neverTag : dueTag + dueMs);
    const nameBytes = Buffer.byteLength(name);
    at = writeVarint(bytes, at, nameBytes);
    at += bytes.write(name, at);
    at = writeVarint(bytes, at, value.length);
    bytes.set(value, at);
    this.#length = at + value.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.packed);
    this.#bytes = larger;
  }
}

/** Above the id of any log. */
export const ownerId = idMax + 1;
const noValue = new Uint8Array(0);

/** How an owner is packed and stored. */
export const ownerRow = ({ owner, value = noValue }: OwnerChange): StoredRow => ({
  id: ownerId,
  name: owner,
  dueMs: undefined,
  value,
});

const scratch = new RowPacker();

/** Returns the checksum of everything in a row. */
export function rowChecksum(row: StoredRow): number {
  scratch.clear();
  scratch.pushRow(row);
  return crc32(scratch.packed);
}

/** A change and the position after it. */
export interface FoundChange {
  readonly change: RowChange;
  readonly end: number;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads the change at `at`, which must end at or before `end`. Returns undefined for bytes that are not one. The value is a view
 * of `bytes`. A higher id than `highest` is refused.
 */
export function readChange(
  bytes: Uint8Array,
  at: number,
  end: number,
  highest = idMax,
): FoundChange | undefined {
  const id = readVarint(bytes, at, end);
  if (id < 0 || id > highest) return undefined;
  const tagAt = varintEnd(bytes, at, end);
  const tag = readVarint(bytes, tagAt, end);
  if (tag < 0) return undefined;
  const nameAt = varintEnd(bytes, tagAt, end);
  if (tag === deletedTag) return { change: { id, row: undefined }, end: nameAt };
  const name = partAt(bytes, nameAt, end, nameBytesMax);
  const value = name === undefined ? undefined : partAt(bytes, name.end, end, valueBytesMax);
  if (name === undefined || value === undefined || name.start === name.end) return undefined;
  const text = textOf(bytes.subarray(name.start, name.end));
  if (text === undefined) return undefined;
  const dueMs = tag === neverTag ? undefined : tag - dueTag;
  const row = { id, name: text, dueMs, value: bytes.subarray(value.start, value.end) };
  return { change: { id, row }, end: value.end };
}

function partAt(
  bytes: Uint8Array,
  at: number,
  end: number,
  bytesMax: number,
): { readonly start: number; readonly end: number } | undefined {
  const length = readVarint(bytes, at, end);
  const start = varintEnd(bytes, at, end);
  if (length < 0 || length > bytesMax || start < 0 || length > end - start) return undefined;
  return { start, end: start + length };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined; // Not UTF-8.
  }
}
