/**
 * How far retention may trim: whole segments only, from the front. Pure; the answer becomes a trim command in the
 * log, so that every node trims alike.
 *
 * The last segment goes too, once all its records are too old: the trim that takes them begins a new segment (see
 * roll), and the old one is removed like any other. So records on which nothing follows do not outlive their age.
 *
 * Never: looks at a clock.
 */
import type { Offset } from "../../types.ts";
import type { LogSettings } from "../frame/command.ts";

/** What counts of a segment. */
export interface RetainedSegment {
  readonly bytes: number;
  readonly nextOffset: Offset;
  /** Of its newest record. */
  readonly lastTimestampMs: number;
}

/** A log as retention sees it. */
export interface RetainedLog {
  readonly sealed: readonly RetainedSegment[];
  /** The last segment; it may go by age only, and not while something in it is uncommitted. */
  readonly active: RetainedSegment | undefined;
  readonly activeCommitted: boolean;
  readonly lowest: Offset;
}

/** The offset that everything before may go of; `lowest` when nothing may. */
export function retentionOffset(log: RetainedLog, settings: LogSettings, nowMs: number): Offset {
  const { retentionBytes, retentionAgeMs } = settings;
  const held = heldSegments(log);
  let bytes = log.active?.bytes ?? 0;
  for (const segment of held) if (segment !== log.active) bytes += segment.bytes;
  let before = log.lowest;
  for (const segment of held) {
    const tooMuch = retentionBytes > 0 && bytes > retentionBytes && segment !== log.active;
    const tooOld = retentionAgeMs > 0 && segment.lastTimestampMs + retentionAgeMs < nowMs;
    if (!tooMuch && !tooOld) break;
    before = segment.nextOffset;
    bytes -= segment.bytes;
  }
  return before;
}

/** When the oldest segment will be too old (milliseconds since 1970); undefined: never, as things stand. */
export function nextExpiryMs(log: RetainedLog, settings: LogSettings): number | undefined {
  if (settings.retentionAgeMs === 0) return undefined;
  const [oldest] = heldSegments(log);
  return oldest === undefined ? undefined : oldest.lastTimestampMs + settings.retentionAgeMs + 1;
}

/** Segments with records that can be read, oldest first. */
function heldSegments({ sealed, active, activeCommitted, lowest }: RetainedLog): RetainedSegment[] {
  const held = sealed.filter(({ nextOffset }) => nextOffset > lowest);
  if (active !== undefined && activeCommitted && active.nextOffset > lowest) held.push(active);
  return held;
}
