/**
 * Zeros behind the last frame of the active store. A file system with a journal commits it whenever a sync finds that the file has
 * grown. So a small group that makes the file grow is written with zeros behind it, and the next groups overwrite these.
 *
 * Zeros are no frames: none begins with a length of 0. Opening cuts them off, and so do closing and sealing. They are limited to
 * less than a write group, as bytes of a torn group are.
 */
import type { DiskFile } from "../../lib/disk/disk.ts";
import { groupBytesMax } from "./frame-group.ts";

/** The most zeros behind a group, in bytes. */
export const zerosMaxDefault = 256 * 1024;
/** A larger group is written alone: there the zeros would cost more than they save. */
const smallBytesMax = 64 * 1024;
/** So many groups of the same size, or so many bytes if that is more, overwrite the zeros behind one. */
const wanted = { groups: 16, bytes: 64 * 1024 };

export interface Growth {
  /** Where the group is written, and its size in bytes. */
  readonly position: number;
  readonly bytes: number;
  /** The size of the file. */
  readonly fileBytes: number;
  /** The size at which the segment is full. */
  readonly segmentBytesMax: number;
  readonly zerosMax: number;
}

/** How many zeros to write behind a group: none if the file does not have to grow. */
export function zerosBehind({ position, bytes, fileBytes, segmentBytesMax, zerosMax }: Growth): number {
  const end = position + bytes;
  if (bytes > smallBytesMax || end <= fileBytes) return 0;
  const zeros = Math.min(zerosMax, Math.max(wanted.bytes, wanted.groups * bytes));
  return Math.max(0, Math.min(zeros, segmentBytesMax - end));
}

/** Returns true if the file has nothing but zeros from `from` on, and not more than a write group. */
export const isZeroTail = (file: Pick<DiskFile, "read">, from: number, fileBytes: number): boolean =>
  fileBytes - from <= groupBytesMax && endOfData(file, from, fileBytes) === from;

/** Returns the position after the last byte of the file that is not zero, at least `from`. */
export function endOfData(file: Pick<DiskFile, "read">, from: number, fileBytes: number): number {
  const buffer = new Uint8Array(Math.min(1 << 20, Math.max(0, fileBytes - from)));
  for (let to = fileBytes; to > from; ) {
    const at = Math.max(from, to - buffer.length);
    const part = buffer.subarray(0, to - at);
    const found = file.read(part, at);
    for (let last = found - 1; last >= 0; last--) if (part[last] !== 0) return at + last + 1;
    to = at;
  }
  return from;
}
