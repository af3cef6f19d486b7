/**
 * Decides when a segment is full: a pure function of its content, of the next batch, and of settings that are in the log.
 * It does not use the local clock, so nodes with the same log differ only in where their first segment begins.
 */
import type { Offset } from "../../types.ts";
import { defaultBase } from "../frame/chain.ts";
import { decodeTrim, type LogSettings } from "../frame/command.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameCommand,
  frameKind,
  frameTimestampMs,
} from "../frame/frame.ts";
import { entryBytes, fitsEntry, type IndexBase } from "../index/offset-index.ts";

/** How full a segment is. */
export interface SegmentFill {
  readonly base: IndexBase;
  readonly bytes: number;
  readonly entries: number;
  /** The next offset of `default` at its end. */
  readonly nextOffset: Offset;
  /** Named logs that its frames are about. */
  readonly namedLogs: number;
  /** Its frames that are about named logs. */
  readonly namedFrames: number;
  /** Those of them that hold no records. */
  readonly namedCommands: number;
}

/**
 * A segment is full once its frames are about this many named logs, or once so many frames or commands are. So a checkpoint of
 * rows at its end, and the fold of the rows when it is opened or removed, have a limit. A command costs the fold more than
 * records do. One write group can exceed the number of logs. Segments of `default` alone know no such limit.
 */
export const namedLogsMax = 16_384;
export const namedFramesMax = 32_768;
export const namedCommandsMax = 4_096;

/** Returns true if the frame at `at` must begin a new segment. An empty segment takes any frame that an entry can describe. */
export function mustRoll(fill: SegmentFill, bytes: Uint8Array, at: number, settings: LogSettings): boolean {
  const timestampMs = frameTimestampMs(bytes, at);
  if (timestampMs < fill.base.timestampMs) return true; // only in an empty segment whose first batch was lost
  if (!fitsEntry(fill.base, defaultBase(bytes, at, fill), fill.bytes, timestampMs)) return true;
  if (fill.entries === 0) return false;
  return (
    fill.bytes + frameBytes(bytes, at) > settings.segmentStoreBytesMax ||
    (fill.entries + 1) * entryBytes > settings.segmentIndexBytesMax ||
    timestampMs - fill.base.timestampMs > ageMaxMs(settings) ||
    fill.namedLogs >= namedLogsMax ||
    fill.namedFrames >= namedFramesMax ||
    fill.namedCommands >= namedCommandsMax ||
    trimsAll(fill, bytes, at)
  );
}

/**
 * Returns true if one of `batches` batches of `bytes` bytes, written now, could begin a new segment. A trim of everything
 * is not considered.
 */
export function couldRoll(
  fill: SegmentFill,
  bytes: number,
  batches: number,
  timestampMs: number,
  settings: LogSettings,
): boolean {
  const { base } = fill;
  // An empty segment takes one batch of any size. The others can be full with it: they are all counted in `batches`.
  if (fill.entries === 0 && batches <= 1) return false;
  return (
    fill.bytes + bytes > settings.segmentStoreBytesMax ||
    (fill.entries + batches) * entryBytes > settings.segmentIndexBytesMax ||
    timestampMs - base.timestampMs > ageMaxMs(settings) ||
    (fill.namedLogs > 0 && fill.namedLogs + batches > namedLogsMax) ||
    (fill.namedFrames > 0 && fill.namedFrames + batches > namedFramesMax) ||
    (fill.namedCommands > 0 && fill.namedCommands + batches > namedCommandsMax)
  );
}

const ageMinMs = 1000;

/**
 * Retention removes whole segments. A segment that spans more time than the retention age would keep some records twice
 * as long.
 */
export function ageMaxMs({ segmentAgeMaxMs, retentionAgeMs }: LogSettings): number {
  return retentionAgeMs === 0
    ? segmentAgeMaxMs
    : Math.min(segmentAgeMaxMs, Math.max(ageMinMs, retentionAgeMs));
}

/** A trim of everything before it begins a new segment, so that the segment with the records can be removed. */
function trimsAll({ base }: SegmentFill, bytes: Uint8Array, at: number): boolean {
  if (frameKind(bytes, at) !== batchKind.trim) return false;
  const next = frameBaseOffset(bytes, at);
  return next > base.offset && decodeTrim(frameCommand(bytes, at)) >= next;
}
