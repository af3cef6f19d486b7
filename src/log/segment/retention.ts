/**
 * Decides how far retention trims: whole segments from the front. Pure. The result becomes a trim command in the log, so
 * that all nodes trim the same records.
 *
 * The last segment is trimmed too, once all its records are too old. The trim command begins a new segment (see
 * roll-policy), and the old one is removed. So records expire also if no record follows them.
 */
import type { Offset } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";
import type { SegmentSet } from "./segment-set.ts";

/** A segment as retention needs it. */
export interface RetainedSegment {
  /** Bytes of what is not of named logs: only `default` is trimmed by them. */
  readonly defaultBytes: number;
  readonly nextOffset: Offset;
  /** Of its newest record. */
  readonly lastTimestampMs: number;
}

/** A log as retention needs it. */
export interface RetainedLog {
  readonly sealed: readonly RetainedSegment[];
  /** The last segment. It expires only by age, and only if all of it is committed. */
  readonly active: RetainedSegment | undefined;
  readonly activeCommitted: boolean;
  readonly lowest: Offset;
}

/** `isCommitted`: all of the active segment is. */
export function retainedLog(
  { sealed, active }: Pick<SegmentSet, "sealed" | "active">,
  isCommitted: boolean,
  lowest: Offset,
): RetainedLog {
  const hasRecords = active !== undefined && active.nextOffset > active.baseOffset;
  return { sealed, active: hasRecords ? active : undefined, activeCommitted: isCommitted, lowest };
}

/** The bytes of the segments that hold records of `default`, without the records of named logs. */
export function defaultBytesOf(log: RetainedLog): number {
  let bytes = log.active?.defaultBytes ?? 0;
  for (const segment of readableSegments(log)) if (segment !== log.active) bytes += segment.defaultBytes;
  return bytes;
}

/** Returns the offset before which everything is trimmed; `lowest` if nothing is. */
export function retentionOffset(log: RetainedLog, settings: LogSettings, nowMs: number): Offset {
  const { retentionBytes, retentionAgeMs } = settings;
  const readable = readableSegments(log);
  let bytes = defaultBytesOf(log);
  let before = log.lowest;
  for (const segment of readable) {
    const tooMuch = retentionBytes > 0 && bytes > retentionBytes && segment !== log.active;
    const tooOld = retentionAgeMs > 0 && segment.lastTimestampMs + retentionAgeMs < nowMs;
    if (!tooMuch && !tooOld) break;
    before = segment.nextOffset;
    bytes -= segment.defaultBytes;
  }
  return before;
}

/** When the oldest segment expires, in milliseconds since 1970. Undefined if none will, unless the log changes. */
export function nextExpiryMs(log: RetainedLog, settings: LogSettings): number | undefined {
  if (settings.retentionAgeMs === 0) return undefined;
  const [oldest] = readableSegments(log);
  return oldest === undefined ? undefined : oldest.lastTimestampMs + settings.retentionAgeMs + 1;
}

/** Segments with records that can be read, oldest first. */
function readableSegments({ sealed, active, activeCommitted, lowest }: RetainedLog): RetainedSegment[] {
  const readable = sealed.filter(({ nextOffset }) => nextOffset > lowest);
  if (active !== undefined && activeCommitted && active.nextOffset > lowest) readable.push(active);
  return readable;
}
