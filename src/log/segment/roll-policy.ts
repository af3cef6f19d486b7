/**
 * When a segment is full: a pure function of its content, of the batch that would come next, and of settings that
 * are themselves in the log. Never the local clock, so nodes with one history may only differ in when they began.
 */
import { decodeTrim, type LogSettings } from "../frame/command.ts";
import {
  batchKind,
  frameBaseOffset,
  frameBytes,
  frameCommand,
  frameKind,
  frameTimestampMs,
} from "../frame/frame.ts";
import { entryBytes, fitsEntry, type IndexBase } from "./offset-index.ts";

/** What counts of a segment. */
export interface Fill {
  readonly base: IndexBase;
  readonly bytes: number;
  readonly entries: number;
}

/** Must the frame at `at` begin a new segment? An empty segment takes any frame that its entries can describe. */
export function mustRoll(fill: Fill, bytes: Uint8Array, at: number, settings: LogSettings): boolean {
  const timestampMs = frameTimestampMs(bytes, at);
  if (timestampMs < fill.base.timestampMs) return true; // only an empty segment whose first batch was lost
  if (!fitsEntry(fill.base, frameBaseOffset(bytes, at), fill.bytes, timestampMs)) return true;
  if (fill.entries === 0) return false;
  return (
    fill.bytes + frameBytes(bytes, at) > settings.segmentStoreBytesMax ||
    (fill.entries + 1) * entryBytes > settings.segmentIndexBytesMax ||
    timestampMs - fill.base.timestampMs > ageMaxMs(settings) ||
    takesAll(fill, bytes, at)
  );
}

/**
 * Could one of so many batches, of so many bytes together, that come now begin a new segment? A trim of everything could
 * too; it is not asked about here.
 */
export function couldRoll(
  fill: Fill,
  bytes: number,
  batches: number,
  timestampMs: number,
  settings: LogSettings,
): boolean {
  const { base } = fill;
  if (fill.entries === 0) return bytes > settings.segmentStoreBytesMax && batches > 1;
  return (
    fill.bytes + bytes > settings.segmentStoreBytesMax ||
    (fill.entries + batches) * entryBytes > settings.segmentIndexBytesMax ||
    timestampMs - base.timestampMs > ageMaxMs(settings)
  );
}

const ageLeastMs = 1000;

/** Records go by whole segments: one that spans more than the age they are kept for would keep some twice as long. */
function ageMaxMs({ segmentAgeMaxMs, retentionAgeMs }: LogSettings): number {
  return retentionAgeMs === 0
    ? segmentAgeMaxMs
    : Math.min(segmentAgeMaxMs, Math.max(ageLeastMs, retentionAgeMs));
}

/** A trim of everything before it: in a new segment, so that the one with the records can be removed. */
function takesAll({ base }: Fill, bytes: Uint8Array, at: number): boolean {
  if (frameKind(bytes, at) !== batchKind.trim) return false;
  const next = frameBaseOffset(bytes, at);
  return next > base.offset && decodeTrim(frameCommand(bytes, at)) >= next;
}
