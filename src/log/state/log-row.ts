/**
 * The row of a named log: its state, which its frames define. Pure.
 *
 * A row is a function of the frames alone. Commands state their effect, so applying one reads only the row.
 */
import type { LogId, NamedLogSettings, Offset, RaftIndex } from "../../types.ts";
import type { LogFlaw } from "../frame/chain.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameCommand,
  frameIndex,
  frameKind,
  frameLogId,
  frameNextOffset,
  frameTimestampMs,
} from "../frame/frame.ts";
import { decodeConfigure, decodeCreate, decodeDelete, decodeLogTrim } from "../frame/log-command.ts";

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
  /** The time of the last batch of records; 0 before the first one. */
  readonly lastMs: number;
  /** The last frame with records; 0 before the first one. */
  readonly lastIndex: RaftIndex;
  /** The last frame of any kind about this log. */
  readonly version: RaftIndex;
  /** It takes no more records. */
  readonly closed: boolean;
}

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
  if (row === undefined) return "no-log";
  if (frameBaseOffset(bytes, at) !== row.next) return "offset";
  const version = frameIndex(bytes, at);
  switch (kind) {
    case batchKind.data:
      return {
        ...row,
        next: frameNextOffset(bytes, at),
        bytes: row.bytes + frameBytes(bytes, at),
        lastMs: frameTimestampMs(bytes, at),
        lastIndex: version,
        version,
      };
    case batchKind.configureLog:
      return { ...row, settings: decodeConfigure(frameCommand(bytes, at)), version };
    case batchKind.closeLog:
      return { ...row, closed: true, version };
    case batchKind.deleteLog: {
      const upTo = decodeDelete(frameCommand(bytes, at));
      return upTo === undefined || row.version <= upTo ? undefined : row;
    }
    case batchKind.trimLog:
      return trimmed(row, bytes, at);
    default:
      return "no-log";
  }
}

function created(bytes: Uint8Array, at: number): LogRow | "offset" {
  if (frameBaseOffset(bytes, at) !== 0) return "offset";
  const { name, settings, owner } = decodeCreate(frameCommand(bytes, at));
  return {
    id: frameLogId(bytes, at),
    name,
    settings,
    ...(owner === undefined ? {} : { owner }),
    createdMs: frameTimestampMs(bytes, at),
    lowest: 0,
    next: 0,
    bytes: 0,
    lastMs: 0,
    lastIndex: 0,
    version: frameIndex(bytes, at),
    closed: false,
  };
}

/** A trim that was decided for another lowest offset is passed over. */
function trimmed(row: LogRow, bytes: Uint8Array, at: number): LogRow {
  const { from, to, bytes: removed } = decodeLogTrim(frameCommand(bytes, at));
  if (from !== row.lowest || to > row.next) return row;
  return { ...row, lowest: to, bytes: Math.max(0, row.bytes - removed), version: frameIndex(bytes, at) };
}
