/**
 * Backup and restore of the log as files.
 *
 *   snapshot                      { format, clusterId, index, start, configuration, files }      msgpack
 *   <first>-<last>.frames         frame*      raw, committed, chained; one file per segment of the node
 *
 * A backup ends at the commit index at its start. A sealed segment never changes, so a later backup of the same node
 * transfers only the new files.
 */
import { Fault } from "../../fault.ts";
import {
  checkLogStart,
  frameBytes,
  frameBytesMax,
  type LogStart,
  prefixBytes,
  type SegmentedLog,
} from "../../log/mod.ts";
import type { ConfState } from "../../raft/mod.ts";
import { isConfiguration, isWhole } from "../storage/configuration-check.ts";
import { pack, unpackChecked } from "../storage/msgpack.ts";
import type { StableState } from "../storage/stable-state.ts";

/**
 * A version without named logs reads format 1 only: it would take their records for those of `default`. In format 2, the start
 * has their rows in its table, in format 3 as a base file.
 */
const formats = { onlyDefault: 1, rowsInTable: 2, namedLogs: 3 };
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
}

interface Part {
  readonly file: string;
  readonly position: number;
  readonly fileBytes: number;
  readonly data: Uint8Array;
}

const digits = (index: number): string => String(index).padStart(20, "0");
const nameOf = (first: number, last: number): string => `${digits(first)}-${digits(last)}.frames`;

/**
 * Yields the backup part by part, without the files that the caller has.
 * @throws Fault "failed-precondition" if the log is trimmed meanwhile, "corrupt" for a damaged frame
 */
export function* backupParts(
  log: SegmentedLog,
  state: StableState,
  have: readonly string[],
): Generator<Part, void, undefined> {
  const files = filesOf(log);
  const snapshot: BackupSnapshot = {
    clusterId: state.clusterId ?? "",
    index: log.commitIndex,
    start: withRows(log),
    configuration: state.configurationAt(log.commitIndex),
    files,
  };
  const format = log.state.logs.level > 0 ? formats.namedLogs : formats.onlyDefault;
  const packed = pack({ format, ...snapshot });
  for (let position = 0; position < packed.length; position += partBytes) {
    const data = packed.subarray(position, position + partBytes);
    yield { file: snapshotFile, position, fileBytes: packed.length, data };
  }
  for (const { file, first, last, bytes } of files) {
    if (have.includes(file)) continue;
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
}

function withRows(log: SegmentedLog): LogStart {
  const rows = log.rows.baseBytes();
  return rows === undefined ? log.start : { ...log.start, rows };
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
  const start = checkLogStart(found.start);
  return { clusterId, index, start, configuration, files: checkFiles(found.files, start.end.index, index) };
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

/**
 * Fills an empty log from a backup. `read` returns a part of one of its files.
 * @throws Fault "corrupt" if the frames do not form a chain or end early
 */
export async function restoreFrames(
  log: SegmentedLog,
  snapshot: BackupSnapshot,
  read: (file: string, position: number, bytes: number) => Uint8Array,
): Promise<void> {
  await log.rows.prepare(snapshot.start);
  log.reset(snapshot.start);
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
function wholeFrames(
  read: (file: string, position: number, bytes: number) => Uint8Array,
  file: string,
  position: number,
  bytes: number,
): Uint8Array {
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
