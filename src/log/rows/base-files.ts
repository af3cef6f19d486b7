/**
 * The base files of a log: `<index, 20 digits>.rows` holds the rows of the named logs at the start of the log. With the frames
 * after it, it defines all rows. There is none while the log starts without rows.
 */
import { Fault } from "../../fault.ts";
import { type Disk, errorCode, syncFileAside, syncNames, troubleOf } from "../../lib/disk/disk.ts";
import { type BaseFile, type BaseSource, mergeBase, type RowChange, readBase } from "../../rows/mod.ts";
import type { RaftIndex } from "../../types.ts";
import type { BaseRef, LogStart, StartRows } from "../segment/catalog.ts";
import { diskFault } from "../segment/disk-fault.ts";
import { CommittedRows } from "../state/committed-rows.ts";
import type { LogRow } from "../state/log-row.ts";
import { decodeRow, encodeHead, encodeRow, type RowsAt } from "../state/row-codec.ts";

export const rowsName = (index: RaftIndex): string => `${String(index).padStart(20, "0")}.rows`;

/** Where base files are. */
export interface BasePlace {
  readonly disk: Disk;
  /** That of the segments. */
  readonly directory: string;
}

export const basePath = ({ directory }: BasePlace, index: RaftIndex): string =>
  `${directory}/${rowsName(index)}`;

/** Writes the base file of a start, durably. Returns its index, which can be lower than that of the start. */
export async function placeBase(
  place: BasePlace,
  at: RowsAt,
  rows: Exclude<StartRows, BaseRef>,
): Promise<RaftIndex> {
  const source = sourceOf(rows);
  if (source !== undefined) return copyBase(place, source);
  writeBase(place, at, rows as readonly LogRow[]);
  return at.index;
}

/** The base file that holds rows; undefined if they are not in one. */
export function sourceOf(rows: StartRows | undefined): BaseSource | undefined {
  if (rows instanceof Uint8Array) return bytesOf(rows);
  return rows === undefined || Array.isArray(rows) || isBaseRef(rows) ? undefined : (rows as BaseSource);
}

/** Returns true for the rows of a start that are in a base file on the leader. */
export const isBaseRef = (rows: StartRows | undefined): rows is BaseRef =>
  typeof rows === "object" && "index" in rows && typeof rows.index === "number";

/** Writes rows as a base file, durably. */
export function writeBase(place: BasePlace, at: RowsAt, rows: readonly LogRow[]): void {
  const sorted = rows.toSorted((one, other) => one.id - other.id);
  const changes = sorted.map((row): RowChange => ({ id: row.id, row: encodeRow(row) }));
  const path = basePath(place, at.index);
  for (const _ of mergeBase(place.disk, undefined, path, changes, encodeHead(at)));
}

const copyBytes = 1024 * 1024;

async function copyBase({ disk, directory }: BasePlace, source: BaseSource): Promise<RaftIndex> {
  const { index } = readBase(source).head;
  const path = basePath({ disk, directory }, index);
  const unfinished = `${path}.new`;
  if (disk.exists(unfinished)) disk.remove(unfinished);
  const file = disk.open(unfinished, "create");
  try {
    const piece = new Uint8Array(copyBytes);
    for (let at = 0; at < source.size(); at += copyBytes)
      await file.writeAsync(piece.subarray(0, source.read(piece, at)), at);
    await syncFileAside(file);
  } finally {
    file.close();
  }
  disk.rename(unfinished, path);
  syncNames(disk, directory);
  return index;
}

/** The content of a base file that is in memory. */
const bytesOf = (bytes: Uint8Array): BaseSource => ({
  path: "the start of a log",
  size: () => bytes.length,
  read: (target, position) => {
    const part = bytes.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  },
  close: () => undefined,
});

/**
 * Opens the base file of this index. Bytes that cannot be read are damage, like wrong bytes.
 * @throws Fault "corrupt"; "disk-busy" or "disk-full" if it cannot be read now. Its methods throw the same
 */
export function openBaseAt(place: BasePlace, index: RaftIndex): BaseFile {
  const path = basePath(place, index);
  const base = readBase(openBaseSource(place, index));
  if (base.head.index === index) return base;
  base.close();
  throw baseDamaged(path, "index");
}

/** The bytes of the base file of this index. @throws as openBaseAt() */
export function openBaseSource(place: BasePlace, index: RaftIndex): BaseSource {
  const path = basePath(place, index);
  const read = <T>(work: () => T): T => {
    try {
      return work();
    } catch (reason) {
      throw unreadableBase(path, reason);
    }
  };
  const file = read(() => place.disk.open(path, "read"));
  return {
    path,
    size: () => read(() => file.size()),
    read: (target, position) => read(() => file.read(target, position)),
    close: () => file.close(),
  };
}

function unreadableBase(path: string, reason: unknown): unknown {
  const code = errorCode(reason);
  if (reason instanceof Fault || code === "") return reason;
  if (code === "ENOENT") return baseDamaged(path, "missing");
  return troubleOf(reason) === "lost" ? baseDamaged(path, "unreadable") : diskFault(reason);
}

/**
 * Puts the rows of a base file into memory. `size` is how many the checkpoint at the start of the log has.
 * @throws Fault "corrupt"
 */
export function loadBase(place: BasePlace, index: RaftIndex, size: number, into: CommittedRows): void {
  if (index === 0) {
    if (size > 0) throw baseDamaged(basePath(place, index), "missing");
    return;
  }
  const base = openBaseAt(place, index);
  try {
    loadRows(base, into);
    if (base.head.count !== size) throw baseDamaged(basePath(place, index), "count");
  } finally {
    base.close();
  }
}

/** Returns the rows of a start that came from outside, in memory. @throws Fault "corrupt" */
export function rowsOfStart({ rows = [] }: LogStart): CommittedRows {
  const loaded = new CommittedRows();
  const source = sourceOf(rows);
  if (source !== undefined) loadRows(readBase(source), loaded);
  else for (const row of rows as readonly LogRow[]) loaded.put(row.id, undefined, row);
  return loaded;
}

function loadRows(base: BaseFile, into: CommittedRows): void {
  for (const block of base.blocks()) for (const row of block) into.put(row.id, undefined, decodeRow(row));
}

function baseDamaged(path: string, why: string): Fault {
  return new Fault("corrupt", {
    message: `${path}, which holds the named logs at the start of the log, is damaged (${why})`,
    facts: { file: path, position: 0, why },
  });
}

/**
 * Removes base files other than those of these indexes (0: none), and those that are unfinished. The caller syncs the directory.
 * `keepsPart`: one may be arriving from the leader.
 */
export function removeOtherBases(
  { disk, directory }: BasePlace,
  used: readonly RaftIndex[],
  keepsPart = false,
): void {
  const names = used.filter((index) => index !== 0).map(rowsName);
  for (const name of disk.list(directory)) {
    if (keepsPart && name.endsWith(".part")) continue;
    if (/^\d{20}\.rows(\.new|\.part)?$/.test(name) && !names.includes(name))
      disk.remove(`${directory}/${name}`);
  }
}
