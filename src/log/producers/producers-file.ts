/**
 * The file of the producers at the start of a segment, if there are too many for its checkpoint, which then says how large the
 * file is and what its checksum is.
 *
 *   file := row*          each one value of msgpack, see ProducerRow
 *
 * A snapshot holds the same bytes.
 */
import { Packr } from "msgpackr";
import { Fault } from "../../fault.ts";
import { crc32 } from "../../lib/checksum.ts";
import { type Disk, errorCode, readWhole, syncFileAside, syncNames } from "../../lib/disk/disk.ts";
import type { ProducerRow } from "../state/produced-batch.ts";
import { type FrozenProducers, rowsOf } from "../state/producer-table.ts";

/** What a checkpoint holds of its file. */
export interface ProducersFile {
  /** The name of the file, in the directory of the segments. */
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  /** Of the whole file. */
  readonly crc: number;
}

/** More producers than these are in a file: to pack so many takes 5 ms. */
export const inlineProducersDefault = 2048;
/** Rows that are packed in one step: about 2 ms. */
const stepRows = 512;

const packr = new Packr({ useRecords: false });

/** Packs the rows, a piece in each step. */
export function* packProducers(frozen: FrozenProducers): Generator<Uint8Array, void> {
  for (let from = 0; from < frozen.producers.length; from += stepRows) {
    yield packRows(rowsOf(frozen, from, from + stepRows));
  }
}

/** Packs the rows one after another, at once. */
export function packRows(rows: readonly ProducerRow[]): Uint8Array {
  const list = packr.pack(rows);
  // Without the head of the list.
  return list.subarray(rows.length < 16 ? 1 : rows.length < 0x1_0000 ? 3 : 5);
}

/**
 * Writes the file durably, off the event loop. `goesOn` is asked before it gets its name. Returns undefined if it says no.
 * @throws the error of the disk; then there is no file
 */
export async function writeProducers(
  disk: Disk,
  directory: string,
  name: string,
  pieces: Iterable<Uint8Array>,
  rows: number,
  goesOn: () => boolean,
): Promise<ProducersFile | undefined> {
  const path = `${directory}/${name}`;
  const unfinished = `${path}.tmp`;
  if (disk.exists(unfinished)) disk.remove(unfinished);
  try {
    const file = disk.open(unfinished, "create");
    let [bytes, crc] = [0, 0];
    try {
      for (const piece of pieces) {
        await file.writeAsync(piece, bytes);
        crc = crc32(piece, 0, piece.length, crc);
        bytes += piece.length;
        if (!goesOn()) break;
      }
      if (goesOn()) await syncFileAside(file);
    } finally {
      file.close();
    }
    if (!goesOn()) {
      disk.remove(unfinished);
      return undefined;
    }
    disk.rename(unfinished, path);
    syncNames(disk, directory);
    return { file: name, rows, bytes, crc };
  } catch (reason) {
    removeIfThere(disk, unfinished);
    throw reason;
  }
}

/** A full disk needs the space. What stays is removed by the next attempt or opening. */
function removeIfThere(disk: Disk, path: string): void {
  try {
    if (disk.exists(path)) disk.remove(path);
  } catch (reason) {
    if (errorCode(reason) === "") throw reason;
  }
}

/** Returns the bytes of the file. @throws Fault "corrupt" with why "producers", also if it cannot be read */
function readProducersFile(disk: Disk, directory: string, stored: ProducersFile): Uint8Array {
  const path = `${directory}/${stored.file}`;
  let bytes: Uint8Array;
  try {
    bytes = readWhole(disk, path);
  } catch (reason) {
    if (errorCode(reason) === "") throw reason;
    throw damagedProducers(path, reason);
  }
  if (bytes.length !== stored.bytes || crc32(bytes, 0, bytes.length) !== stored.crc)
    throw damagedProducers(path);
  return bytes;
}

/** Returns the rows in the file. It is empty if the producers of the segment went with their log. @throws as readProducersFile() */
export function readProducers(disk: Disk, directory: string, stored: ProducersFile): ProducerRow[] {
  const bytes = readProducersFile(disk, directory, stored);
  const rows: ProducerRow[] = [];
  if (bytes.length === 0) return rows;
  packr.unpackMultiple(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), (row) => {
    rows.push(row as ProducerRow);
  });
  return rows;
}

export const damagedProducers = (file: string, cause?: unknown): Fault =>
  new Fault("corrupt", {
    message: `${file}, which holds the producers at the start of a segment, is damaged`,
    facts: { file, position: 0, why: "producers" },
    cause,
  });
