/**
 * Backup and restore of the log as files.
 *
 *   snapshot                      { format, clusterId, index, start, configuration, files, base }      msgpack
 *   <index>-<crc32>.rows          the named logs at the start: a base file (src/rows); none without named logs
 *   <first>-<last>.frames         frame*      raw, committed, chained; one file per segment of the node
 *
 * A backup ends at the commit index at its start. A sealed segment never changes, so a later backup of the same node
 * transfers only the new files.
 */
import { Fault } from "../../fault.ts";
import { crc32 } from "../../lib/checksum.ts";
import {
  checkLogStart,
  checkStartFields,
  checkStartRows,
  frameBytes,
  frameBytesMax,
  type LogStart,
  prefixBytes,
  type SegmentedLog,
} from "../../log/mod.ts";
import type { ConfState } from "../../raft/mod.ts";
import type { BaseSource } from "../../rows/mod.ts";
import { isConfiguration, isWhole } from "../storage/configuration-check.ts";
import { pack, unpackChecked } from "../storage/msgpack.ts";
import type { StableState } from "../storage/stable-state.ts";

/**
 * A version without named logs reads format 1 only: it would take their records for those of `default`. In format 2, the start
 * has their rows in its table, in format 3 as the bytes of a base file, in format 4 they are in a file of the backup.
 */
const formats = { onlyDefault: 1, rowsInTable: 2, rowsInSnapshot: 3, namedLogs: 4 };
const partBytes = 1024 * 1024;
export const snapshotFile = "snapshot";

export interface BackupFile {
  readonly file: string;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

export interface BackupSnapshot {
  readonly clusterId: string;
  /** The last index in the backup. */
  readonly index: number;
  readonly start: LogStart;
  /** The configuration of the cluster. It is not restored: a restored log does not belong to a cluster. */
  readonly configuration: ConfState;
  readonly files: readonly BackupFile[];
  /** Absent if there is no named log at the start, or if `start` has its rows. */
  readonly base?: BackupBase | undefined;
}

/** The file with the rows of the named logs at the start. */
export interface BackupBase {
  readonly file: string;
  readonly bytes: number;
  /** Of the whole file. */
  readonly crc: number;
}

interface Part {
  readonly file: string;
  readonly position: number;
  readonly fileBytes: number;
  readonly data: Uint8Array;
}

const digits = (index: number): string => String(index).padStart(20, "0");
const baseNameOf = (index: number, crc: number): string =>
  `${digits(index)}-${crc.toString(16).padStart(8, "0")}.rows`;
const nameOf = (first: number, last: number): string => `${digits(first)}-${digits(last)}.frames`;

/**
 * Yields the backup part by part, without the files that the caller has. Yields undefined where other work may run.
 * @throws Fault "failed-precondition" if the log is trimmed meanwhile, "corrupt" for a damaged frame
 */
export function* backupParts(
  log: SegmentedLog,
  state: StableState,
  have: readonly string[],
): Generator<Part | undefined, void, undefined> {
  const rows = log.rows.openBase();
  try {
    const files = filesOf(log);
    const snapshot: BackupSnapshot = {
      clusterId: state.clusterId ?? "",
      index: log.commitIndex,
      start: log.start,
      configuration: state.configurationAt(log.commitIndex),
      files,
    };
    const base = rows === undefined ? undefined : yield* baseOf(rows, log.rows.base!.index);
    const format = log.state.logs.level > 0 ? formats.namedLogs : formats.onlyDefault;
    const packed = pack({ format, ...snapshot, ...(base === undefined ? {} : { base }) });
    for (let position = 0; position < packed.length; position += partBytes) {
      const data = packed.subarray(position, position + partBytes);
      yield { file: snapshotFile, position, fileBytes: packed.length, data };
    }
    if (base !== undefined && !have.includes(base.file)) yield* partsOf(base, rows!);
    for (const file of files) if (!have.includes(file.file)) yield* framesOf(log, file);
  } finally {
    rows?.close();
  }
}

function* baseOf(rows: BaseSource, index: number): Generator<undefined, BackupBase> {
  const bytes = rows.size();
  const piece = new Uint8Array(partBytes);
  let crc = 0;
  for (let position = 0; position < bytes; position += partBytes) {
    crc = crc32(piece, 0, rows.read(piece, position), crc);
    yield undefined;
  }
  return { file: baseNameOf(index, crc), bytes, crc };
}

function* partsOf({ file, bytes }: BackupBase, rows: BaseSource): Generator<Part, void> {
  for (let position = 0; position < bytes; position += partBytes) {
    const piece = new Uint8Array(Math.min(partBytes, bytes - position));
    yield { file, position, fileBytes: bytes, data: piece.subarray(0, rows.read(piece, position)) };
  }
}

function* framesOf(log: SegmentedLog, { file, first, last, bytes }: BackupFile): Generator<Part, void> {
  let position = 0;
  for (let from = first; from <= last; ) {
    if (from < log.firstIndex || log.closed) {
      throw new Fault("failed-precondition", {
        message: "the log was trimmed during the backup, start the backup again",
      });
    }
    const frames = log.entries(from, partBytes, last);
    const data = frames.length === 1 ? frames[0]! : Buffer.concat(frames);
    yield { file, position, fileBytes: bytes, data };
    position += data.length;
    from += frames.length;
  }
}

/** Returns one file per segment, up to the commit index. */
function filesOf(log: SegmentedLog): BackupFile[] {
  const commit = log.commitIndex;
  return log.segments.flatMap((segment) => {
    const { first } = segment;
    if (first > commit) return [];
    const [last, bytes] = segment.lookup((entries) => {
      const count = Math.min(entries.length, commit - first + 1);
      return [first + count - 1, count < entries.length ? entries.position(count) : segment.bytes];
    });
    return [{ file: nameOf(first, last), first, last, bytes }];
  });
}

/**
 * Decodes the manifest of a backup.
 * @throws Fault "unsupported-version" for another format; "corrupt" for a malformed manifest, for files that do not
 * follow one another from the start to the index, and for file names that do not match their indexes
 */
export function readSnapshot(bytes: Uint8Array): BackupSnapshot {
  const { value } = unpackChecked(bytes);
  if (typeof value !== "object" || value === null) throw notWhole("it cannot be read");
  const found = value as { readonly [K in keyof BackupSnapshot | "format"]?: unknown };
  if (!Object.values<unknown>(formats).includes(found.format)) {
    throw new Fault("unsupported-version", {
      message: `the backup has format ${String(found.format)}, this program reads ${formats.onlyDefault} to ${formats.namedLogs}`,
    });
  }
  const { clusterId, index, configuration } = found;
  if (typeof clusterId !== "string" || !isWhole(index)) throw notWhole("index");
  if (!isConfiguration(configuration)) throw notWhole("configuration");
  const isElsewhere = found.format === formats.namedLogs;
  const start = isElsewhere ? checkStartFields(found.start, true) : checkLogStart(found.start);
  const files = checkFiles(found.files, start.end.index, index);
  const base = isElsewhere ? checkBase(found.base, start) : undefined;
  return { clusterId, index, start, configuration, files, base };
}

/** There is a base file exactly if there are named logs at the start. */
function checkBase(value: unknown, { end, checkpoint }: LogStart): BackupBase | undefined {
  const isThere = value !== undefined && value !== null;
  if (isThere !== (checkpoint.logs?.size ?? 0) > 0) throw notWhole("base");
  if (!isThere) return undefined;
  const listed = (typeof value === "object" ? value : {}) as Partial<BackupBase>;
  const found = { file: listed.file, bytes: listed.bytes, crc: listed.crc };
  if (typeof found.file !== "string" || !isWhole(found.bytes) || !isWhole(found.crc)) throw notWhole("base");
  const index = Number(found.file.slice(0, 20));
  if (found.crc > 0xffff_ffff || !(index <= end.index) || found.file !== baseNameOf(index, found.crc))
    throw notWhole(`it names the file ${found.file}`);
  return { file: found.file, bytes: found.bytes, crc: found.crc };
}

/** Validates the list of files. They must follow one another from the index after `before` to `last`. */
function checkFiles(files: unknown, before: number, last: number): BackupFile[] {
  if (!Array.isArray(files)) throw notWhole("files");
  let end = before;
  const checked = files.map((one: unknown) => {
    const listed = (typeof one === "object" ? one : undefined) as Partial<BackupFile> | null | undefined;
    const found = { first: listed?.first, last: listed?.last, bytes: listed?.bytes };
    if (!isWhole(found.first) || !isWhole(found.last) || !isWhole(found.bytes)) throw notWhole("files");
    const file = nameOf(found.first, found.last);
    if (listed?.file !== file) throw notWhole(`it names the file ${String(listed?.file)}`);
    if (found.first !== end + 1 || found.last < found.first)
      throw notWhole("files do not follow one another");
    end = found.last;
    return { file, first: found.first, last: found.last, bytes: found.bytes };
  });
  if (end !== last) throw notWhole(`its files end at index ${end}, it says ${last}`);
  return checked;
}

const notWhole = (why: string): Fault =>
  new Fault("corrupt", { message: `the snapshot of the backup is not whole, ${why}`, facts: { why } });

/** Returns a part of a file of a backup, fewer bytes only at the end of the file. */
export type ReadBackup = (file: string, position: number, bytes: number) => Uint8Array;

/** The base file of a backup; undefined if the rows are in its start, or if there are none. */
export function baseSourceOf({ base }: BackupSnapshot, read: ReadBackup): BaseSource | undefined {
  if (base === undefined) return undefined;
  const { file, bytes } = base;
  return {
    path: file,
    size: () => bytes,
    read: (target, position) => {
      const piece = read(file, position, Math.max(0, Math.min(target.length, bytes - position)));
      target.set(piece);
      return piece.length;
    },
    close: () => undefined,
  };
}

/**
 * Checks the base file of a backup, in steps: its checksum and its rows.
 * @throws Fault "corrupt"
 */
export function* checkBackupBase(snapshot: BackupSnapshot, rows: BaseSource): Generator<void, void> {
  const crc = yield* baseOf(rows, 0);
  if (crc.crc !== snapshot.base?.crc) {
    throw new Fault("corrupt", {
      message: `${rows.path} is damaged (checksum)`,
      facts: { file: rows.path, position: 0, why: "checksum" },
    });
  }
  yield* checkStartRows({ ...snapshot.start, rows });
}

/**
 * Fills an empty log from a backup. `read` returns a part of one of its files.
 * @throws Fault "corrupt" if the frames do not form a chain or end early
 */
export async function restoreFrames(
  log: SegmentedLog,
  snapshot: BackupSnapshot,
  read: ReadBackup,
): Promise<void> {
  const rows = baseSourceOf(snapshot, read);
  if (rows !== undefined) for (const _ of checkBackupBase(snapshot, rows));
  const start = rows === undefined ? snapshot.start : { ...snapshot.start, rows };
  await log.rows.prepare(start);
  log.reset(start);
  for (const { file, bytes } of snapshot.files) {
    for (let position = 0; position < bytes; ) {
      const frames = wholeFrames(read, file, position, bytes);
      log.stage(frames);
      log.flushNow();
      log.commitTo(log.durableIndex);
      position += frames.length;
    }
  }
  if (log.end.index !== snapshot.index) {
    throw new Fault("corrupt", {
      message: `the backup ends at index ${log.end.index}, its snapshot says ${snapshot.index}`,
    });
  }
}

/** Reads whole frames from `position` on, at least one. */
function wholeFrames(read: ReadBackup, file: string, position: number, bytes: number): Uint8Array {
  const left = bytes - position;
  let chunk = read(file, position, Math.min(left, partBytes));
  const cut = (why: string): Fault =>
    new Fault("corrupt", { message: `${file} is ${why}`, facts: { file, position } });
  if (chunk.length < prefixBytes) throw cut("too short");
  const first = frameBytes(chunk, 0);
  if (first > left || first > frameBytesMax) throw cut("damaged");
  if (first > chunk.length) chunk = read(file, position, first);
  if (first > chunk.length) throw cut("too short");
  let end = 0;
  while (end + prefixBytes <= chunk.length) {
    const next = end + frameBytes(chunk, end);
    if (next > chunk.length) break;
    end = next;
  }
  // The log keeps this memory.
  return Uint8Array.from(chunk.subarray(0, end));
}
