/**
 * How far retention may trim: whole sealed segments only, from the front. Pure; the answer becomes a trim command in
 * the log, so that every node trims alike.
 */
import type { Offset } from "../vocabulary.ts";
import type { LogSettings } from "./command.ts";

/** What counts of a sealed segment. */
export interface RetainedSegment {
  readonly bytes: number;
  readonly nextOffset: Offset;
  readonly seal: { readonly lastTimestampMs: number };
}

/** The offset that everything before may go of; `lowest` when nothing may. */
export function retentionOffset(
  sealed: readonly RetainedSegment[],
  activeBytes: number,
  lowest: Offset,
  settings: LogSettings,
  nowMs: number,
): Offset {
  const { retentionBytes, retentionAgeMs } = settings;
  const held = sealed.filter(({ nextOffset }) => nextOffset > lowest);
  let bytes = activeBytes;
  for (const segment of held) bytes += segment.bytes;
  let before = lowest;
  for (const segment of held) {
    const tooMuch = retentionBytes > 0 && bytes > retentionBytes;
    const tooOld = retentionAgeMs > 0 && segment.seal.lastTimestampMs + retentionAgeMs < nowMs;
    if (!tooMuch && !tooOld) break;
    before = segment.nextOffset;
    bytes -= segment.bytes;
  }
  return before;
}

/** When the oldest sealed segment will be too old (milliseconds since 1970); undefined: never, as things stand. */
export function nextExpiryMs(
  sealed: readonly RetainedSegment[],
  lowest: Offset,
  settings: LogSettings,
): number | undefined {
  if (settings.retentionAgeMs === 0) return undefined;
  const oldest = sealed.find(({ nextOffset }) => nextOffset > lowest);
  return oldest === undefined ? undefined : oldest.seal.lastTimestampMs + settings.retentionAgeMs + 1;
}
