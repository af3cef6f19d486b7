/**
 * The chain: how one frame follows another, and the scan of a store file along it.
 *
 * A frame belongs to the log when it is sound and names the checksum of the frame before, the next index, the next
 * offset, and a term and a time that do not go back. Whatever does not chain is not part of the log.
 *
 * Never: decides whether a break is a torn tail or corruption (recovery does).
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
  frameNextOffset,
  framePreviousCrc,
  frameTerm,
  frameTimestampMs,
  prefixBytes,
} from "./frame.ts";
import { checkPayload, type PayloadFlaw } from "./payload.ts";

/** Where a log, or a part of it, ends: everything that the next frame must follow. */
export interface ChainEnd {
  readonly index: RaftIndex;
  readonly term: Term;
  readonly nextOffset: Offset;
  readonly timestampMs: number;
  readonly crc: number;
}

/** Before the first batch of all. */
export const chainStart: ChainEnd = { index: 0, term: 0, nextOffset: 0, timestampMs: 0, crc: 0 };

/** "entry": an index entry of its segment cannot describe the frame. */
export type ChainFlaw = FrameFlaw | PayloadFlaw | "chain" | "index" | "offset" | "term" | "time" | "entry";

/** Flaws of frames whose checksum is right: no crash leaves them behind, only a program that writes wrong frames. */
export const isContentFlaw = (flaw: ChainFlaw): boolean =>
  ["fields", "records", "command", "entry"].includes(flaw);

/** What keeps the frame at `at`, of which bytes up to `limit` are at hand, from following `end`; or undefined. */
export function checkNext(
  bytes: Uint8Array,
  at: number,
  limit: number,
  end: ChainEnd,
): ChainFlaw | undefined {
  return checkFrame(bytes, at, limit) ?? checkLink(bytes, at, end) ?? checkPayload(bytes, at);
}

/** The same of a frame that is known to be sound by itself, records and all. */
export function checkLink(bytes: Uint8Array, at: number, end: ChainEnd): ChainFlaw | undefined {
  if (framePreviousCrc(bytes, at) !== end.crc) return "chain";
  if (frameIndex(bytes, at) !== end.index + 1) return "index";
  if (frameTerm(bytes, at) < end.term) return "term";
  // The first batch of all says where offsets begin.
  if (frameBaseOffset(bytes, at) !== end.nextOffset && end.index > 0) return "offset";
  if (frameTimestampMs(bytes, at) < end.timestampMs) return "time";
  return undefined;
}

/** The end of the log once the frame at `at` was added. */
export function endOfFrame(bytes: Uint8Array, at: number): ChainEnd {
  return {
    index: frameIndex(bytes, at),
    term: frameTerm(bytes, at),
    nextOffset: frameNextOffset(bytes, at),
    timestampMs: frameTimestampMs(bytes, at),
    crc: frameCrc(bytes, at),
  };
}

export interface Scan {
  /** Behind the last frame that chains. */
  readonly end: ChainEnd;
  readonly position: number;
  /** What stopped the scan, when it was not the end of the file. */
  readonly flaw: ChainFlaw | undefined;
}

const chunkBytes = 2 * frameBytesMax;

/** Sees a frame that chains; may return a flaw, which stops the scan before the frame. */
export type Visit = (bytes: Uint8Array, at: number, position: number) => ChainFlaw | undefined;

/** Follows the chain through a store file from its first byte to `fileBytes`, showing each frame on its way. */
export function scanStore(
  file: Pick<DiskFile, "read">,
  fileBytes: number,
  start: ChainEnd,
  visit: Visit,
): Scan {
  const steps = scanSteps(file, fileBytes, start, visit, chunkBytes);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** The same in steps of about `stepBytes` (more where a frame is larger), each told by its bytes. */
export function* scanSteps(
  file: Pick<DiskFile, "read">,
  fileBytes: number,
  start: ChainEnd,
  visit: Visit,
  stepBytes: number,
): Generator<number, Scan> {
  let buffer = new Uint8Array(Math.min(stepBytes, fileBytes));
  let end = start;
  let position = 0;
  let held = 0;
  for (;;) {
    const want = buffer.subarray(held, Math.min(buffer.length, fileBytes - position));
    const found = file.read(want, position + held);
    held += found;
    let at = 0;
    let flaw: ChainFlaw | undefined;
    while (at < held) {
      flaw = checkNext(buffer, at, held, end) ?? visit(buffer, at, position + at);
      if (flaw !== undefined) break;
      end = endOfFrame(buffer, at);
      at += frameBytes(buffer, at);
    }
    const atEnd = position + held >= fileBytes || found < want.length || want.length === 0;
    position += at;
    if (flaw !== undefined && (flaw !== "short" || atEnd)) return { end, position, flaw };
    if (atEnd) return { end, position, flaw: undefined };
    yield want.length;
    if (at === 0) buffer = grown(buffer, held);
    else buffer.copyWithin(0, at, held);
    held -= at;
  }
}

/** Room for the frame at its beginning, which did not fit. Always larger, so that the scan moves forward. */
function grown(buffer: Uint8Array, held: number): Uint8Array<ArrayBuffer> {
  const bytes = held < prefixBytes ? 2 * prefixBytes : frameBytes(buffer, 0);
  const larger = new Uint8Array(Math.max(bytes, buffer.length));
  larger.set(buffer.subarray(0, held));
  return larger;
}
