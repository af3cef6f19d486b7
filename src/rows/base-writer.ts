/** Writes base files: under a temporary name, synced every few MiB, renamed when they are whole. */
import { dirname } from "node:path";
import { type Disk, type DiskFile, errorCode, syncFile, syncNames } from "../lib/disk/disk.ts";
import {
  type BlockPlace,
  blockBytes,
  damagedBase,
  encodeBlock,
  encodeEnd,
  encodeHeader,
} from "./base-format.ts";
import { openBase } from "./base-reader.ts";
import { RowPacker } from "./row-codec.ts";
import type { RowChange, RowsHead, StoredRow } from "./rows.ts";

/** A sync of many bytes at once would make the syncs of the log wait. */
const syncBytes = 4 * 1024 * 1024;

/** Where a base file is written before it has its name. */
const unfinishedOf = (path: string): string => `${path}.new`;

/** A base file that is being written. */
class BaseWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #head: RowsHead;
  readonly #file: DiskFile;
  readonly #packer = new RowPacker(blockBytes + 4096);
  readonly #places: BlockPlace[] = [];
  #position = 0;
  #syncedTo = 0;
  #count = 0;
  #lastId = -1;
  #firstId = 0;
  #blockRows = 0;
  #isOpen = true;
  #isFinished = false;

  /** @throws the error of the disk */
  constructor(disk: Disk, path: string, head: RowsHead) {
    this.#disk = disk;
    this.#path = path;
    this.#head = head;
    const unfinished = unfinishedOf(path);
    if (disk.exists(unfinished)) disk.remove(unfinished);
    this.#file = disk.open(unfinished, "create");
    this.#write(encodeHeader(head));
  }

  /** Adds the next row. Returns true if it ended a block. @throws Fault "corrupt" if its id does not ascend */
  add(row: StoredRow): boolean {
    if (row.id <= this.#lastId) throw damagedBase(this.#path, "order", this.#position);
    this.#lastId = row.id;
    if (this.#blockRows === 0) this.#firstId = row.id;
    this.#packer.pushRow(row);
    this.#blockRows++;
    this.#count++;
    if (this.#packer.length < blockBytes) return false;
    this.#endBlock();
    return true;
  }

  /** Makes the file and its name durable. @throws Fault "corrupt" if the head has another count */
  finish(): void {
    if (this.#blockRows > 0) this.#endBlock();
    if (this.#count !== this.#head.count) throw damagedBase(this.#path, "count", this.#position);
    this.#write(encodeEnd(this.#places));
    syncFile(this.#file);
    this.#close();
    this.#disk.rename(unfinishedOf(this.#path), this.#path);
    this.#isFinished = true;
    // Nothing names the file yet. If the directory cannot be opened now, the next attempt replaces the file.
    syncNames(this.#disk, dirname(this.#path));
  }

  /** Closes the file and removes it if it is unfinished. If that fails, the next attempt removes it. */
  end(): void {
    this.#close();
    if (this.#isFinished) return;
    try {
      this.#disk.remove(unfinishedOf(this.#path));
    } catch (reason) {
      if (errorCode(reason) === "") throw reason;
    }
  }

  #close(): void {
    if (this.#isOpen) this.#file.close();
    this.#isOpen = false;
  }

  #endBlock(): void {
    const packed = this.#packer.packed;
    this.#places.push({ firstId: this.#firstId, position: this.#position, bytes: packed.length });
    this.#write(encodeBlock(packed, this.#blockRows, this.#places.length - 1));
    this.#packer.clear();
    this.#blockRows = 0;
  }

  #write(bytes: Uint8Array): void {
    this.#file.write(bytes, this.#position);
    this.#position += bytes.length;
    if (this.#position - this.#syncedTo < syncBytes) return;
    syncFile(this.#file);
    this.#syncedTo = this.#position;
  }
}

/**
 * Writes the base file `to`: the rows of `from` (undefined: none) with `changes`, whose ids must ascend. Yields after each
 * block, so that a caller can let other work run. `to` is durable when the generator ends, and is unchanged if it throws.
 * @throws Fault "corrupt" if `from` is damaged, an id does not ascend or the head has another count; the error of the disk
 */
export function* mergeBase(
  disk: Disk,
  from: string | undefined,
  to: string,
  changes: Iterable<RowChange>,
  head: RowsHead,
): Generator<void, void> {
  const old = from === undefined ? undefined : openBase(disk, from);
  try {
    const writer = new BaseWriter(disk, to, head);
    try {
      for (const row of merged(old === undefined ? [] : old.blocks(), changes)) if (writer.add(row)) yield;
      writer.finish();
    } finally {
      writer.end();
    }
  } finally {
    old?.close();
  }
}

/** Yields the old rows with the changes, by id. */
function* merged(
  blocks: Iterable<readonly StoredRow[]>,
  changes: Iterable<RowChange>,
): Generator<StoredRow, void> {
  const waiting = changes[Symbol.iterator]();
  let next = waiting.next();
  for (const rows of blocks) {
    for (const row of rows) {
      for (; !next.done && next.value.id < row.id; next = waiting.next()) {
        if (next.value.row !== undefined) yield next.value.row;
      }
      if (next.done || next.value.id !== row.id) yield row;
    }
  }
  for (; !next.done; next = waiting.next()) if (next.value.row !== undefined) yield next.value.row;
}
