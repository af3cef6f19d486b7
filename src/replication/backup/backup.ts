/**
 * The backup of the log as files. backup-manifest.ts has the snapshot and the names, restore-frames.ts the way back.
 *
 *   snapshot                            the manifest
 *   <index>-<crc32>.rows                the named logs at the start: a base file (src/rows); none without named logs
 *   <first>-<last>.<chain>.frames       frame*      raw, committed, chained; one file per segment of the node
 *   <first>-<last>-<bytes>.<chain>.frames           the same of a segment that was settled: its records are those of the other
 *                                                   file, as far as they can be read
 *
 * A backup ends at the commit index at its start. A sealed segment changes only when it is settled, and then its file has another
 * name. So a later backup of the same log transfers only the new files. No segment is settled while a backup is made: it could
 * lack records that its end can read.
 */
import { Fault } from "../../fault.ts";
import { crc32 } from "../../lib/checksum.ts";
import {
  batchKind,
  checkStartRows,
  frameKind,
  frameSettledAt,
  type OpenedStart,
  type SegmentedLog,
} from "../../log/mod.ts";
import type { BaseSource } from "../../rows/mod.ts";
import type { StableState } from "../storage/stable-state.ts";
import {
  type BackupBase,
  type BackupFile,
  type BackupSnapshot,
  baseNameOf,
  indexOfBase,
  nameOf,
  packSnapshot,
  settledNameOf,
  snapshotFile,
} from "./backup-manifest.ts";
import { type ChainPoint, checkHistory } from "./chain-point.ts";

/** What is read at a time. */
const readBytes = 1024 * 1024;
/** The most of one message. Connect has a whole message in memory several times. */
const partBytes = 512 * 1024;

/** A piece of one file. The parts of a file follow one another. */
export interface BackupPart {
  readonly file: string;
  readonly position: number;
  readonly fileBytes: number;
  readonly data: Uint8Array;
}

/** Reads the files of a backup. */
export interface BackupSource {
  /** Returns the size in bytes, or undefined if there is no such file. */
  size(file: string): number | undefined;
  /** Returns at most `bytes` bytes, fewer only at the end of the file. */
  read(file: string, position: number, bytes: number): Uint8Array;
  /** Resolves when the file can be read. Files are prepared in the order of the snapshot. */
  prepare?(file: string): Promise<void>;
  /** The file is not read any more. */
  release?(file: string): void;
  /**
   * Yields a file of frames from its start to its end, in large pieces that are not changed afterwards. The files are asked for in the
   * order of the snapshot, without prepare() and read().
   */
  stream?(file: string): AsyncIterable<Uint8Array>;
}

/**
 * Yields the backup part by part, without the files that the caller has. Yields undefined where other work may run. `after` is the
 * end of the newest backup that the caller has: the log must have the same history.
 * @throws Fault "failed-precondition" before the first part if the log has another history; if it is trimmed meanwhile, or lacks
 * records that its end can read; "corrupt" for a damaged frame
 */
export function* backupParts(
  log: SegmentedLog,
  state: StableState,
  have: readonly string[],
  after?: ChainPoint,
): Generator<BackupPart | undefined, void, undefined> {
  checkHistory(log, after);
  const there = new Set(have);
  const goOn = log.settler?.hold();
  let rows: BaseSource | undefined;
  let start: OpenedStart | undefined;
  try {
    // All of it is of this moment: appends and removals go on meanwhile.
    rows = log.rows.openBase();
    start = log.rows.openStart();
    const files = filesOf(log);
    const index = log.commitIndex;
    const { level } = log.state.logs;
    const configuration = state.configurationAt(index);
    const snapshot = { clusterId: state.clusterId ?? "", index, start, configuration, files };
    const base = rows === undefined ? undefined : yield* baseOf(rows, log.rows.base!.index);
    const packed = yield* packSnapshot({ ...snapshot, base, level });
    for (let position = 0; position < packed.length; position += partBytes) {
      const data = packed.subarray(position, position + partBytes);
      yield { file: snapshotFile, position, fileBytes: packed.length, data };
    }
    if (base !== undefined && !there.has(base.file)) yield* partsOf(base, rows!);
    for (const file of files) if (!there.has(file.file)) yield* framesOf(log, file, index);
  } finally {
    start?.producers.close();
    rows?.close();
    goOn?.();
  }
}

function* baseOf(rows: BaseSource, index: number): Generator<undefined, BackupBase> {
  const bytes = rows.size();
  const piece = new Uint8Array(readBytes);
  let crc = 0;
  for (let position = 0; position < bytes; position += readBytes) {
    crc = crc32(piece, 0, rows.read(piece, position), crc);
    yield undefined;
  }
  return { file: baseNameOf(index, crc), bytes, crc };
}

function* partsOf({ file, bytes }: BackupBase, rows: BaseSource): Generator<BackupPart, void> {
  for (let position = 0; position < bytes; position += partBytes) {
    const piece = new Uint8Array(Math.min(partBytes, bytes - position));
    yield { file, position, fileBytes: bytes, data: piece.subarray(0, rows.read(piece, position)) };
  }
}

function* framesOf(
  log: SegmentedLog,
  { file, first, last, bytes, crc }: BackupFile,
  index: number,
): Generator<BackupPart, void> {
  const isSettled = file === settledNameOf({ first, last, bytes, crc });
  let position = 0;
  for (let from = first; from <= last; ) {
    if (from < log.firstIndex || log.closed) {
      throw new Fault("failed-precondition", {
        message: "the log was trimmed during the backup, start the backup again",
      });
    }
    // In memory, frames of a settled segment may still be whole.
    const frames = isSettled ? log.reader.frames(from, last, readBytes) : log.entries(from, readBytes, last);
    if (frames.some((frame) => isSettledAfter(frame, index))) throw behind();
    const data = joined(frames);
    for (let at = 0; at < data.length; at += partBytes) {
      const piece = data.subarray(at, at + partBytes);
      yield { file, position, fileBytes: bytes, data: piece };
      position += piece.length;
    }
    from += frames.length;
  }
}

/** Returns the frames in one piece. Those that were read together are one already. */
function joined(frames: readonly Uint8Array[]): Uint8Array {
  const [first] = frames as [Uint8Array];
  const { buffer, byteOffset } = first;
  let end = byteOffset;
  for (const frame of frames) {
    if (frame.buffer !== buffer || frame.byteOffset !== end) return Buffer.concat(frames);
    end += frame.length;
  }
  return new Uint8Array(buffer, byteOffset, end - byteOffset);
}

/** The records of the batch were removed by a command after this index. */
const isSettledAfter = (frame: Uint8Array, index: number): boolean =>
  frameKind(frame, 0) === batchKind.settled && frameSettledAt(frame, 0) > index;

const behind = (): Fault =>
  new Fault("failed-precondition", {
    message: "this node is behind and lacks records that were removed since; back up another node, or wait",
  });

/** Returns one file per segment, up to the commit index. Opens no index of a segment that is committed as a whole. */
function filesOf(log: SegmentedLog): BackupFile[] {
  const { commitIndex: commit, sealed } = log;
  return log.segments.flatMap((segment, at) => {
    const { first } = segment;
    if (first > commit) return [];
    const end = sealed[at]?.end.index;
    if (end !== undefined && end <= commit) {
      const isSettled = sealed[at]?.meta.settled !== undefined;
      const fields = { first, last: end, bytes: segment.bytes, crc: sealed[at]!.end.crc };
      return [{ file: isSettled ? settledNameOf(fields) : nameOf(fields), ...fields }];
    }
    const [last, bytes] = segment.lookup((entries) => {
      const count = Math.min(entries.length, commit - first + 1);
      return [first + count - 1, count < entries.length ? entries.position(count) : segment.bytes];
    });
    const fields = { first, last, bytes, crc: log.endAt(last).crc };
    return [{ file: segment.settled === undefined ? nameOf(fields) : settledNameOf(fields), ...fields }];
  });
}

/** The base file of a backup; undefined if the rows are in its start, or if there are none. */
export function baseSourceOf(
  { base }: BackupSnapshot,
  source: Pick<BackupSource, "read">,
): BaseSource | undefined {
  if (base === undefined) return undefined;
  const { file, bytes } = base;
  return {
    path: file,
    size: () => bytes,
    read: (target, position) => {
      const piece = source.read(file, position, Math.max(0, Math.min(target.length, bytes - position)));
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
  if (snapshot.base === undefined || crc.crc !== snapshot.base.crc) {
    throw new Fault("corrupt", {
      message: `${rows.path} is damaged (checksum)`,
      facts: { file: rows.path, position: 0, why: "checksum" },
    });
  }
  yield* checkStartRows({ ...snapshot.start, rows }, indexOfBase(snapshot.base));
}
