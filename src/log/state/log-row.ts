/**
 * The row of a named log: its state, which its frames define. Pure.
 *
 * A row is a function of the frames alone. Commands state their effect, so applying one reads only the row.
 */
import type { LogFork, LogId, NamedLogSettings, Offset, RaftIndex } from "../../types.ts";
import type { LogFlaw } from "../frame/chain.ts";
import { decodeCursorCommand } from "../frame/cursor-command.ts";
import {
  batchKind,
  frameBaseOffset,
  frameCommand,
  frameIndex,
  frameKind,
  frameLogId,
  frameNextOffset,
  frameOriginalBytes,
  frameTimestampMs,
} from "../frame/frame.ts";
import { decodeConfigure, decodeCreate, decodeDelete, decodeLogTrim } from "../frame/log-command.ts";
import { frameStream } from "../frame/stream-command.ts";
import { type CursorState, cursorRowName } from "./cursor-row.ts";
import { type StreamState, streamAfter } from "./stream-state.ts";

export interface LogRow {
  readonly id: LogId;
  readonly name: string;
  readonly settings: NamedLogSettings;
  /** The subject that created it. Absent if no caller did. */
  readonly owner?: string;
  readonly createdMs: number;
  /** The records that can be read are `lowest … next−1`. */
  readonly lowest: Offset;
  readonly next: Offset;
  /** Bytes of the frames that hold them. */
  readonly bytes: number;
  /** The time of the last batch of records, or of a close of a stream; 0 before the first one. */
  readonly lastMs: number;
  /** The last frame with records; 0 before the first one. */
  readonly lastIndex: RaftIndex;
  /** The last frame of any kind about this log. */
  readonly version: RaftIndex;
  /** It takes no more records. */
  readonly closed: boolean;
  /** Absent if no append was of the Durable Streams protocol. */
  readonly stream?: StreamState;
  /** The log of whose records it shows the first ones. The records before `fork.next` are there. */
  readonly fork?: LogFork;
  /** Its clients deleted it. Its forks still read its records, so it keeps its name and its row until they are gone. */
  readonly deleted?: true;
  /** When a client read it, as far as that was replicated. */
  readonly touchedMs?: number;
  /** It is the row of a cursor: it has no records, and no client sees it as a log. */
  readonly cursor?: CursorState;
}

export type CursorRow = LogRow & { readonly cursor: CursorState };

export const isCursorRow = (row: LogRow | undefined): row is CursorRow => row?.cursor !== undefined;

/** The row of a log as clients see it: none for a log that is only kept for its forks, and for a cursor. */
export const shown = (row: LogRow | undefined): LogRow | undefined =>
  row?.deleted === true || row?.cursor !== undefined ? undefined : row;

/** The first offset of which the log itself can have a record: those below are the records of the log that it was forked from. */
export const ownLowest = ({ lowest, fork }: Pick<LogRow, "lowest" | "fork">): Offset =>
  Math.max(lowest, fork?.next ?? 0);

/** The time to live counts from here. */
export const livedMs = ({ createdMs, lastMs, touchedMs = 0 }: LogRow): number =>
  Math.max(createdMs, lastMs, touchedMs);

/**
 * When a log with a time to live is deleted, in ms since 1970; undefined without one. A stream lives a quarter longer: a read
 * counts, and is not replicated if it comes within a quarter of the time after what was replicated before.
 */
export function ttlOverMs(row: LogRow): number | undefined {
  const { ttlMs, contentType } = row.settings;
  if (ttlMs === undefined) return undefined;
  return livedMs(row) + ttlMs + (contentType === undefined ? 0 : touchAfterMs(ttlMs));
}

/** How long after the last touch or append a read is replicated. */
export const touchAfterMs = (ttlMs: number): number => Math.ceil(ttlMs / 4);

/**
 * Returns the row after the frame at `at`, undefined if the frame deletes it, or what is wrong. `row` is the row before.
 */
export function rowAfter(
  row: LogRow | undefined,
  bytes: Uint8Array,
  at: number,
): LogRow | undefined | LogFlaw {
  const kind = frameKind(bytes, at);
  if (kind === batchKind.createLog) return row === undefined ? created(bytes, at) : "log-exists";
  if (kind === batchKind.commitCursor) return cursorAfter(row, bytes, at);
  if (row === undefined) return "no-log";
  if (row.cursor !== undefined && kind !== batchKind.deleteLog) return "no-log";
  if (frameBaseOffset(bytes, at) !== row.next) return "offset";
  const version = frameIndex(bytes, at);
  switch (kind) {
    case batchKind.data:
      return withRecords(withStream(row, bytes, at), bytes, at);
    case batchKind.settled:
      return withRecords(row, bytes, at);
    case batchKind.configureLog:
      return { ...row, settings: decodeConfigure(frameCommand(bytes, at)), version };
    case batchKind.closeLog:
      return { ...withStream(row, bytes, at), closed: true, version };
    case batchKind.deleteLog: {
      const upTo = decodeDelete(frameCommand(bytes, at));
      return upTo === undefined || row.version <= upTo ? undefined : row;
    }
    case batchKind.hideLog: {
      const upTo = decodeDelete(frameCommand(bytes, at));
      return upTo === undefined || row.version <= upTo ? { ...row, deleted: true, version } : row;
    }
    case batchKind.touchLog:
      return { ...row, touchedMs: frameTimestampMs(bytes, at), version };
    case batchKind.trimLog:
      return trimmed(row, bytes, at);
    default:
      return "no-log";
  }
}

/** The row of a cursor after a commit, which states all of it. `row` is the row before. */
function cursorAfter(row: LogRow | undefined, bytes: Uint8Array, at: number): LogRow | LogFlaw {
  if (row !== undefined && row.cursor === undefined) return "log-exists";
  const { offset, metadata, created } = decodeCursorCommand(frameCommand(bytes, at));
  const [version, lastMs] = [frameIndex(bytes, at), frameTimestampMs(bytes, at)];
  const moved = { offset, ...(metadata === undefined ? {} : { metadata }) };
  if (row?.cursor !== undefined)
    return { ...row, cursor: { log: row.cursor.log, ...moved }, lastMs, version };
  if (created === undefined) return "no-log";
  const { log, name, owner } = created;
  const ofOwner = owner === undefined ? {} : { owner };
  return {
    ...{ id: frameLogId(bytes, at), name: cursorRowName(log, name), settings: {}, ...ofOwner },
    ...{ createdMs: lastMs, lowest: 0, next: 0, bytes: 0, lastMs, lastIndex: 0, version, closed: false },
    cursor: { log, ...moved },
  };
}

const withRecords = (row: LogRow, bytes: Uint8Array, at: number): LogRow => ({
  ...row,
  next: frameNextOffset(bytes, at),
  bytes: row.bytes + frameOriginalBytes(bytes, at),
  lastMs: frameTimestampMs(bytes, at),
  lastIndex: frameIndex(bytes, at),
  version: frameIndex(bytes, at),
});

/** The row after the command of a stream, if the frame has one. Also one without records renews the time to live. */
function withStream(row: LogRow, bytes: Uint8Array, at: number): LogRow {
  const command = frameStream(bytes, at);
  if (command === undefined) return row;
  const lastMs = frameTimestampMs(bytes, at);
  const stream = streamAfter(row.stream, command, lastMs);
  const closed = row.closed || command.closes === true;
  return { ...row, closed, lastMs, ...(stream === undefined ? {} : { stream }) };
}

function created(bytes: Uint8Array, at: number): LogRow | "offset" {
  if (frameBaseOffset(bytes, at) !== 0) return "offset";
  const { name, settings, owner, fork } = decodeCreate(frameCommand(bytes, at));
  return {
    id: frameLogId(bytes, at),
    name,
    settings,
    ...(owner === undefined ? {} : { owner }),
    createdMs: frameTimestampMs(bytes, at),
    lowest: fork?.lowest ?? 0,
    next: fork?.next ?? 0,
    bytes: 0,
    lastMs: 0,
    lastIndex: 0,
    version: frameIndex(bytes, at),
    closed: false,
    ...(fork === undefined ? {} : { fork: forkOf(fork) }),
  };
}

const forkOf = ({ source, next, cut }: LogFork): LogFork =>
  cut === undefined ? { source, next } : { source, next, cut };

/** A trim that was decided for another lowest offset is passed over. */
function trimmed(row: LogRow, bytes: Uint8Array, at: number): LogRow {
  const { from, to, bytes: removed } = decodeLogTrim(frameCommand(bytes, at));
  if (from !== row.lowest || to > row.next) return row;
  return { ...row, lowest: to, bytes: Math.max(0, row.bytes - removed), version: frameIndex(bytes, at) };
}
