/** Checks the files of a database before SQLite opens them. Reads the first page and the write-ahead log, and no rows. */
import type { Disk } from "../../lib/disk/disk.ts";
import { findWalDamage } from "../../store/mod.ts";
import { damagedRows, pageBytes, walOf } from "./schema.ts";

const fileMagic = Buffer.from("SQLite format 3\0", "latin1");
const headerBytes = 100;
const [pageBytesAt, versionsAt, walVersion] = [16, 18, 2];

/** @throws Fault "corrupt" with `why` "missing", "header" or "wal"; the error of the disk */
export function checkFiles(disk: Disk, path: string): void {
  if (!disk.exists(path)) throw damagedRows(path, "missing");
  const isSound = withReader(disk, path, (read) => {
    const header = new Uint8Array(headerBytes);
    return read(header, 0) === headerBytes && isHeader(header);
  });
  if (!isSound) throw damagedRows(path, "header");
  const log = walOf(path);
  if (!disk.exists(log)) return;
  const damagedAt = withReader(disk, log, (read) => findWalDamage(read, pageBytes));
  if (damagedAt !== undefined) throw damagedRows(log, "wal", undefined, damagedAt);
}

const isHeader = (header: Uint8Array): boolean =>
  Buffer.compare(header.subarray(0, fileMagic.length), fileMagic) === 0 &&
  header[pageBytesAt]! * 256 + header[pageBytesAt + 1]! === pageBytes &&
  header[versionsAt] === walVersion &&
  header[versionsAt + 1] === walVersion;

type Read = (target: Uint8Array, position: number) => number;

function withReader<T>(disk: Disk, path: string, work: (read: Read) => T): T {
  const file = disk.open(path, "read");
  try {
    return work((target, position) => file.read(target, position));
  } finally {
    file.close();
  }
}
