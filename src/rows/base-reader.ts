/** Reads base files, from the node's own disk, a peer or a backup: everything in them is checked. */
import type { Disk, DiskFile } from "../lib/disk/disk.ts";
import {
  type BlockPlace,
  blockHeadBytes,
  damagedBase,
  decodeBlockHead,
  decodeEnd,
  decodeHeader,
  entryBytes,
  headerBytes,
  headerValueBytes,
  tailBlocks,
  tailBytes,
} from "./base-format.ts";
import { readChange } from "./row-codec.ts";
import type { RowsHead, StoredRow } from "./rows.ts";

export interface BaseFile {
  readonly head: RowsHead;
  /** Size in bytes. */
  readonly bytes: number;
  /** Yields the rows of each block, sorted by id. @throws Fault "corrupt" */
  blocks(): Generator<readonly StoredRow[], void>;
  /** Reads one block; the last one that it read is kept. @throws Fault "corrupt" */
  row(id: number): StoredRow | undefined;
  close(): void;
}

/** The bytes of a base file. */
export type BaseSource = Pick<DiskFile, "path" | "size" | "read" | "close">;

/** Opens a base file. @throws Fault "corrupt", the error of the disk */
export function openBase(disk: Disk, path: string): BaseFile {
  return readBase(disk.open(path, "read"));
}

/** Reads a base file from anywhere. Closes `file` if it is damaged. @throws Fault "corrupt" */
export function readBase(file: BaseSource): BaseFile {
  try {
    return new Reader(file);
  } catch (reason) {
    file.close();
    throw reason;
  }
}

class Reader implements BaseFile {
  readonly head: RowsHead;
  readonly bytes: number;
  readonly #file: BaseSource;
  readonly #places: readonly BlockPlace[];
  #kept: { readonly ordinal: number; readonly rows: readonly StoredRow[] } | undefined;

  constructor(file: BaseSource) {
    this.#file = file;
    this.bytes = file.size();
    const valueBytes = headerValueBytes(this.#read(0, headerBytes));
    if (valueBytes === undefined) throw damagedBase(file.path, "header");
    const start = headerBytes + valueBytes + 4;
    const head = this.bytes < start ? undefined : decodeHeader(this.#read(0, start));
    if (head === undefined) throw damagedBase(file.path, "header");
    this.head = head;
    this.#places = this.#readPlaces(start);
  }

  *blocks(): Generator<readonly StoredRow[], void> {
    let [count, lastId] = [0, -1];
    for (const [ordinal, place] of this.#places.entries()) {
      const rows = this.#readBlock(place, ordinal);
      if (rows[0]!.id <= lastId) throw damagedBase(this.#file.path, "order", place.position);
      lastId = rows.at(-1)!.id;
      count += rows.length;
      yield rows;
    }
    if (count !== this.head.count) throw damagedBase(this.#file.path, "count", this.bytes);
  }

  row(id: number): StoredRow | undefined {
    const ordinal = this.#blockOf(id);
    const place = this.#places[ordinal];
    if (place === undefined) return undefined;
    if (this.#kept?.ordinal !== ordinal) this.#kept = { ordinal, rows: this.#readBlock(place, ordinal) };
    return this.#kept.rows.find((row) => row.id === id);
  }

  /** The last block that begins at or before the id; −1 if there is none. */
  #blockOf(id: number): number {
    let [low, high] = [0, this.#places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#places[middle]!.firstId <= id) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  close(): void {
    this.#kept = undefined;
    this.#file.close();
  }

  #readPlaces(start: number): readonly BlockPlace[] {
    const damaged = damagedBase(this.#file.path, "index", Math.max(0, this.bytes - tailBytes));
    if (this.bytes < start + tailBytes) throw damaged;
    const blocks = tailBlocks(this.#read(this.bytes - tailBytes, tailBytes));
    const end = this.bytes - tailBytes - (blocks ?? 0) * entryBytes;
    if (blocks === undefined || end < start) throw damaged;
    // The blocks before the index bound its size: all but one of them have `blockBytes`.
    if (blocks > 1 + (end - start) / blockHeadBytes) throw damaged;
    const places = decodeEnd(this.#read(end, this.bytes - end), start, end);
    if (places === undefined) throw damaged;
    return places;
  }

  /** Returns the rows of a block, at least one. */
  #readBlock({ position, bytes, firstId }: BlockPlace, ordinal: number): readonly StoredRow[] {
    const block = this.#read(position, blockHeadBytes + bytes);
    const head = block.length < blockHeadBytes + bytes ? undefined : decodeBlockHead(block, ordinal);
    if (head === undefined) throw damagedBase(this.#file.path, "block", position);
    const rows: StoredRow[] = [];
    let lastId = -1;
    for (let at = blockHeadBytes; at < block.length; ) {
      const found = readChange(block, at, block.length);
      const row = found?.change.row;
      if (found === undefined || row === undefined)
        throw damagedBase(this.#file.path, "block", position + at);
      if (row.id <= lastId) throw damagedBase(this.#file.path, "order", position + at);
      rows.push(row);
      lastId = row.id;
      at = found.end;
    }
    if (rows.length !== head.rows || rows[0]?.id !== firstId) {
      throw damagedBase(this.#file.path, "block", position);
    }
    return rows;
  }

  #read(position: number, bytes: number): Uint8Array {
    const target = new Uint8Array(bytes);
    return target.subarray(0, this.#file.read(target, position));
  }
}
