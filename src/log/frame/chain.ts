/**
 * The chain: how one frame follows another, and the scan of a store file along it.
 *
 * A frame belongs to the log if it is sound and holds the checksum of the frame before, the next index, and a term and a
 * time that are not lower. A frame that does not chain is not part of the log. Recovery decides whether that is a torn
 * write or corruption.
 *
 * Offsets count within one log, so a frame of another log does not have the next offset of `default`. An end carries it
 * along. The offsets of the other logs are checked against their rows (log-table.ts).
 */
import type { DiskFile } from "../../lib/disk/disk.ts";
import type { Offset, RaftIndex, Term } from "../../types.ts";
import {
  checkFrame,
  type FrameFlaw,
  frameBaseOffset,
  frameBytes,
  frameBytesMax,
  frameCrc,
  frameIndex,
  frameLogId,
  frameNextOffset,
  framePreviousCrc,
  frameTerm,
  frameTimestampMs,
  prefixBytes,
} from "./frame.ts";
import { checkPayload, type PayloadFlaw } from "./payload.ts";

/** What the next frame must follow, as a single frame tells it. */
export interface ChainLink {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly timestampMs: number;
  /** Of the last frame. */
  readonly crc: number;
}

/** The end of the common log, or of a part of it. */
export interface ChainEnd extends ChainLink {
  /** The next offset of `default`. */
  readonly nextOffset: Offset;
}

/** The next offset of `default` is not known: a frame of it may have any. Only checks of damaged files use this. */
export const unknownOffset: Offset = -1;

/** The end of an empty log. */
export const chainStart: ChainEnd = { index: 0, term: 0, nextOffset: 0, timestampMs: 0, crc: 0 };

/**
 * Why a frame does not fit the state of its log: the log is not there, or is there already, or continues elsewhere; a create has
 * an id that an earlier log had, or the name of another log.
 */
export type LogFlaw = "no-log" | "log-exists" | "offset" | "id-used" | "name-used";

/** What is wrong with a frame. "entry": no index entry of its segment can describe it. */
export type ChainFlaw = FrameFlaw | PayloadFlaw | LogFlaw | "chain" | "index" | "term" | "time" | "entry";

/** Returns true for flaws of frames whose checksum is right. No crash causes them, only a program that writes wrong frames. */
export const isContentFlaw = (flaw: ChainFlaw): boolean =>
  ["fields", "records", "command", "entry", "no-log", "log-exists", "id-used", "name-used"].includes(flaw);

/** Returns why the frame at `at` is not the next one after `end`; or undefined. `bytes` is valid up to `limit`. */
export function checkNext(
  bytes: Uint8Array,
  at: number,
  limit: number,
  end: ChainEnd,
): ChainFlaw | undefined {
  return (
    checkFrame(bytes, at, limit) ??
    checkLink(bytes, at, end) ??
    checkDefaultOffset(bytes, at, end) ??
    checkPayload(bytes, at)
  );
}

/** Returns why the sound frame at `at` does not follow `end`; or undefined. Offsets are not considered. */
export function checkLink(bytes: Uint8Array, at: number, end: ChainLink): ChainFlaw | undefined {
  if (framePreviousCrc(bytes, at) !== end.crc) return "chain";
  if (frameIndex(bytes, at) !== end.index + 1) return "index";
  if (frameTerm(bytes, at) < end.term) return "term";
  if (frameTimestampMs(bytes, at) < end.timestampMs) return "time";
  return undefined;
}

/** Returns "offset" if the frame belongs to `default` and does not have its next offset. */
export function checkDefaultOffset(bytes: Uint8Array, at: number, end: ChainEnd): "offset" | undefined {
  if (end.index === 0 || end.nextOffset === unknownOffset) return undefined;
  return defaultBase(bytes, at, end) === end.nextOffset ? undefined : "offset";
}

/** The next offset of `default` before the frame at `at`, which follows `end`. The first batch defines where offsets begin. */
export function defaultBase(bytes: Uint8Array, at: number, end: Pick<ChainEnd, "nextOffset">): Offset {
  return frameLogId(bytes, at) === 0 ? frameBaseOffset(bytes, at) : end.nextOffset;
}

/** The next offset of `default` after the frame at `at`, if it was `before` in front of it. */
export function defaultAfter(bytes: Uint8Array, at: number, before: Offset): Offset {
  return frameLogId(bytes, at) === 0 ? frameNextOffset(bytes, at) : before;
}

/** What the frame after the one at `at` must follow. */
export function linkOfFrame(bytes: Uint8Array, at: number): ChainLink {
  return {
    index: frameIndex(bytes, at),
    term: frameTerm(bytes, at),
    timestampMs: frameTimestampMs(bytes, at),
    crc: frameCrc(bytes, at),
  };
}

/** The end of the log after the frame at `at`, which follows `before`. */
export function endAfter(before: Pick<ChainEnd, "nextOffset">, bytes: Uint8Array, at: number): ChainEnd {
  return { ...linkOfFrame(bytes, at), nextOffset: defaultAfter(bytes, at, before.nextOffset) };
}

export interface Scan {
  /** After the last frame that chains. */
  readonly end: ChainEnd;
  /** Where that frame ends, in bytes. */
  readonly position: number;
  /** What stopped the scan; undefined at the end of the file. */
  readonly flaw: ChainFlaw | undefined;
}

const chunkBytes = 2 * frameBytesMax;

/** Sees a frame that follows `before`, at `position` of the file. A returned flaw stops the scan before the frame. */
export type VisitFrame = (
  bytes: Uint8Array,
  at: number,
  position: number,
  before: ChainEnd,
) => ChainFlaw | undefined;

/** Follows the chain through a store file from its first byte to `fileBytes`, and shows each frame to `visit`. */
export function scanStore(
  file: Pick<DiskFile, "read">,
  fileBytes: number,
  start: ChainEnd,
  visit: VisitFrame,
): Scan {
  const steps = scanSteps(file, fileBytes, start, visit, chunkBytes);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Does the same in steps of about `stepBytes`, or of one larger frame. Yields the size of each step. */
export function* scanSteps(
  file: Pick<DiskFile, "read">,
  fileBytes: number,
  start: ChainEnd,
  visit: VisitFrame,
  stepBytes: number,
): Generator<number, Scan> {
  let buffer = new Uint8Array(Math.min(stepBytes, fileBytes));
  let end = start;
  let position = 0;
  let filled = 0;
  for (;;) {
    const target = buffer.subarray(filled, Math.min(buffer.length, fileBytes - position));
    const found = file.read(target, position + filled);
    filled += found;
    let at = 0;
    let flaw: ChainFlaw | undefined;
    while (at < filled) {
      flaw = checkNext(buffer, at, filled, end) ?? visit(buffer, at, position + at, end);
      if (flaw !== undefined) break;
      end = endAfter(end, buffer, at);
      at += frameBytes(buffer, at);
    }
    const atEnd = position + filled >= fileBytes || found < target.length || target.length === 0;
    position += at;
    if (flaw !== undefined && (flaw !== "short" || atEnd)) return { end, position, flaw };
    if (atEnd) return { end, position, flaw: undefined };
    yield target.length;
    if (at === 0) buffer = grown(buffer, filled);
    else buffer.copyWithin(0, at, filled);
    filled -= at;
  }
}

/** A buffer for the frame at the start of `buffer`, which did not fit. It is larger, so that the scan makes progress. */
function grown(buffer: Uint8Array, filled: number): Uint8Array<ArrayBuffer> {
  const bytes = filled < prefixBytes ? 2 * prefixBytes : frameBytes(buffer, 0);
  const larger = new Uint8Array(Math.max(bytes, buffer.length));
  larger.set(buffer.subarray(0, filled));
  return larger;
}
