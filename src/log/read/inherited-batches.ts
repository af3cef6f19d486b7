/**
 * The batches that a fork shows of its source: with the id of the fork, and without the records after the place of the fork. Pure.
 *
 * Readers get frames, so these are new ones, with the index and time of the batch of the source. Neither their producers nor the
 * commands of streams are shown: they are those of the source.
 */
import { Fault } from "../../fault.ts";
import type { BatchSlice, LogFork, LogId } from "../../types.ts";
import {
  encodeFrame,
  frameBaseOffset,
  frameBytes,
  frameHeader,
  frameNextOffset,
  framePayload,
  framePreviousCrc,
} from "../frame/frame.ts";
import { decodeRecord, encodeRun, RecordCursor } from "../frame/record.ts";

/** The slice of the source as the fork `id` shows it. Its first record is before `fork.next`. @throws Fault "corrupt" */
export function inheritedSlice({ frames }: BatchSlice, id: LogId, fork: LogFork): BatchSlice {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (let at = 0; at < frames.length; at += frameBytes(frames, at)) {
    if (frameBaseOffset(frames, at) >= fork.next) break;
    const part = inheritedFrame(frames.subarray(at, at + frameBytes(frames, at)), id, fork);
    parts.push(part);
    bytes += part.length;
  }
  const [first] = parts;
  if (first === undefined) throw wrongSource(fork);
  const nextOffset = frameNextOffset(parts[parts.length - 1]!, 0);
  const all = parts.length === 1 ? first : Buffer.concat(parts, bytes);
  return { frames: all, firstOffset: frameBaseOffset(first, 0), nextOffset };
}

function inheritedFrame(frame: Uint8Array, id: LogId, { next, cut }: LogFork): Uint8Array {
  const header = frameHeader(frame, 0);
  const recordCount = Math.min(header.recordCount, next - header.baseOffset);
  const isLast = header.baseOffset + recordCount === next;
  const from = framePayload(frame, 0);
  let payload = frame.subarray(from);
  if (recordCount < header.recordCount || (isLast && cut !== undefined)) {
    const last = lastRecord(frame, next - 1);
    payload =
      isLast && cut !== undefined
        ? Buffer.concat([frame.subarray(from, last.elementStart), cutRecord(frame, last, cut)])
        : frame.subarray(from, last.end);
  }
  return encodeFrame({ ...header, recordCount, logId: id }, payload, framePreviousCrc(frame, 0));
}

/** Moves to the record at `offset`, which is in the frame. */
function lastRecord(frame: Uint8Array, offset: number): RecordCursor {
  const cursor = new RecordCursor(frame, offset);
  cursor.next();
  return cursor;
}

function cutRecord(frame: Uint8Array, { start, end }: RecordCursor, bytes: number): Uint8Array {
  const record = decodeRecord(frame, start, end);
  return encodeRun([{ ...record, value: record.value.subarray(0, bytes) }]).bytes;
}

/** Of a fork and a fork of it, the one that shows less. */
export function shorter(one: LogFork, other: LogFork): LogFork {
  if (one.next !== other.next) return one.next < other.next ? one : other;
  return (one.cut ?? Number.POSITIVE_INFINITY) <= (other.cut ?? Number.POSITIVE_INFINITY) ? one : other;
}

export const wrongSource = ({ source, next }: LogFork): Fault =>
  new Fault("corrupt", {
    message: `the log ${source}, from which this one was forked, does not hold the records before ${next}`,
    facts: { why: "fork", offset: next },
  });
