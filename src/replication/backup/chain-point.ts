/**
 * Where a backup ends in the chain of its log. Each frame has the checksum of the one before it, so two logs with the same value at
 * an index have the same history up to it.
 */
import { Fault } from "../../fault.ts";
import {
  frameBytes,
  frameCrc,
  frameIndex,
  framePreviousCrc,
  headerBytes,
  prefixBytes,
  type SegmentedLog,
} from "../../log/mod.ts";
import type { BackupFile, BackupOutline } from "./backup-manifest.ts";

export interface ChainPoint {
  readonly index: number;
  /** The value of the chain after the frame at `index`. */
  readonly crc: number;
}

/** Above the largest frame. */
const stepBytes = 8 * 1024 * 1024;

type ReadFile = (
  file: string,
  position: number,
  bytes: number,
) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/**
 * Resolves to the end of a backup. A manifest before format 7 does not have it: then the last file is read. Undefined if that is
 * missing or damaged.
 */
export async function chainPointOf(
  { index, start, files }: BackupOutline,
  read: ReadFile,
): Promise<ChainPoint | undefined> {
  const last = files.at(-1);
  const crc = last === undefined ? start.end.crc : (last.crc ?? (await endOf(last, read)));
  return crc === undefined ? undefined : { index, crc };
}

async function endOf({ file, first, last, bytes }: BackupFile, read: ReadFile): Promise<number | undefined> {
  let index = first - 1;
  let crc: number | undefined;
  for (let position = 0; position < bytes; ) {
    const chunk = await read(file, position, Math.min(stepBytes, bytes - position));
    let at = 0;
    while (chunk !== undefined && at + headerBytes <= chunk.length) {
      const end = at + frameBytes(chunk, at);
      if (end > chunk.length || end - at < headerBytes + prefixBytes) break;
      if (
        frameIndex(chunk, at) !== index + 1 ||
        framePreviousCrc(chunk, at) !== (crc ?? framePreviousCrc(chunk, at))
      )
        return undefined;
      crc = frameCrc(chunk, at);
      index++;
      at = end;
    }
    if (at === 0) return undefined;
    position += at;
  }
  return index === last ? crc : undefined;
}

/**
 * Compares the end of the newest backup in a place with the log. Nothing can be compared if the log does not have the index any
 * more: then the log shares no file with that backup.
 * @throws Fault "failed-precondition" if the log has another history
 */
export function checkHistory(log: SegmentedLog, after: ChainPoint | undefined): void {
  if (after === undefined || after.index > log.commitIndex || after.index < log.firstIndex - 1) return;
  if (log.endAt(after.index).crc === after.crc) return;
  throw new Fault("failed-precondition", {
    message: `the log of this node has another history than the backup in this place, which ends at index ${after.index}: one of them was restored from an older backup; nothing was changed; give another place, such as another prefix`,
  });
}
