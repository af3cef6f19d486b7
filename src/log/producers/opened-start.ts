/**
 * The start of a log for another node, or for a backup: the state before the first segment, and its producers as they are packed in a
 * snapshot. A file of many producers is opened at once and copied in steps, so that the producers are those of this start even if
 * the log begins later, and the file is removed, before the last step.
 */
import { assert } from "../../lib/assert.ts";
import { crc32 } from "../../lib/checksum.ts";
import { type Disk, type DiskFile, errorCode } from "../../lib/disk/disk.ts";
import type { StoredStart } from "../segment/catalog.ts";
import { diskFault, isRefusal } from "../segment/disk-fault.ts";
import type { CheckpointHead } from "../state/log-state.ts";
import { damagedProducers, type ProducersFile, packRows } from "./producers-file.ts";

/** One step copies so many bytes. */
const pieceBytes = 256 * 1024;

export interface OpenedStart {
  readonly end: StoredStart["end"];
  /** Without the producers. */
  readonly checkpoint: CheckpointHead;
  readonly producers: PackedProducers;
}

/** Values of msgpack, one for each producer. */
export interface PackedProducers {
  readonly count: number;
  readonly bytes: number;
  /** True if there are many: to copy them takes long. */
  readonly inFile: boolean;
  /**
   * Copies all of them to the beginning of `target`, in steps of less than 1 ms.
   * @throws Fault "corrupt" if they are damaged, "disk-busy" if they cannot be read now
   */
  copyTo(target: Uint8Array): Generator<undefined, void>;
  /** Their file is not used any more. */
  close(): void;
}

/** @throws as copyTo() */
export function openStart(
  place: { readonly disk: Disk; readonly directory: string },
  { end, checkpoint }: StoredStart,
): OpenedStart {
  const { producers, ...head } = checkpoint;
  assert(producers !== null, "a start without its producers");
  const packed =
    "file" in producers ? openFile(place, producers) : inMemory(packRows(producers), producers.length);
  return { end, checkpoint: head, producers: packed };
}

const inMemory = (packed: Uint8Array, count: number): PackedProducers => ({
  count,
  bytes: packed.length,
  inFile: false,
  *copyTo(target) {
    target.set(packed);
    yield;
  },
  close: () => undefined,
});

function openFile(
  { disk, directory }: { readonly disk: Disk; readonly directory: string },
  { file: name, rows, bytes, crc: expected }: ProducersFile,
): PackedProducers {
  const path = `${directory}/${name}`;
  const file = readable(path, () => disk.open(path, "read"));
  return {
    count: rows,
    bytes,
    inFile: true,
    *copyTo(target) {
      let crc = 0;
      for (let position = 0; position < bytes; position += pieceBytes) {
        const piece = target.subarray(position, Math.min(bytes, position + pieceBytes));
        if (read(file, piece, position) < piece.length) throw damagedProducers(path);
        crc = crc32(piece, 0, piece.length, crc);
        yield;
      }
      if (crc !== expected || file.size() !== bytes) throw damagedProducers(path);
    },
    close: () => file.close(),
  };
}

const read = (file: DiskFile, piece: Uint8Array, position: number): number =>
  readable(file.path, () => file.read(piece, position));

/** A file that is missing or cannot be read is damaged. Without a file descriptor or memory it can be read later. */
function readable<T>(path: string, operation: () => T): T {
  try {
    return operation();
  } catch (reason) {
    if (errorCode(reason) === "") throw reason;
    const fault = diskFault(reason);
    throw isRefusal(fault) ? fault : damagedProducers(path, reason);
  }
}
