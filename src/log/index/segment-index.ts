/**
 * Builds the index of a segment from the frames of its store.
 */
import type { LogId, RaftIndex } from "../../types.ts";
import { type ChainEnd, defaultBase, type VisitFrame } from "../frame/chain.ts";
import {
  batchKind,
  frameBaseOffset,
  frameIndex,
  frameKind,
  frameLogId,
  frameTakesOffsets,
  frameTerm,
  frameTimestampMs,
} from "../frame/frame.ts";
import { encodeIndexHeader, indexVersion } from "./index-file.ts";
import type { ActiveLogIndex } from "./log-index.ts";
import { type ActiveIndex, fitsEntry } from "./offset-index.ts";

/** Returns an index file without its footer: the header and the entries of `index`. */
export function indexBody(directoryId: Uint8Array, previousCrc: number, index: ActiveIndex): Uint8Array {
  const { base } = index;
  const header = encodeIndexHeader({ version: indexVersion, directoryId, base, previousCrc });
  return Buffer.concat([header, index.bytes(0, index.length)]);
}

/**
 * Enters the frame at `at`, which stands at `position` of the store and follows `before`. An entry holds the next offset of
 * `default` before its frame, whatever log the frame belongs to. Returns "entry" if no entry can describe it.
 */
export function enterFrame(
  index: ActiveIndex,
  bytes: Uint8Array,
  at: number,
  position: number,
  before: Pick<ChainEnd, "nextOffset">,
): "entry" | undefined {
  const offset = defaultBase(bytes, at, before);
  const timestampMs = frameTimestampMs(bytes, at);
  if (!fitsEntry(index.base, offset, position, timestampMs)) return "entry";
  index.append(offset, position, frameTerm(bytes, at), timestampMs);
  return undefined;
}

/** Returns the Raft index of the last batch of a named log before the batch at `before`; 0 if there is none. */
export type LastBatch = (id: LogId, before: RaftIndex) => RaftIndex;

/** Returns true for records of a named log, also if they are settled. */
export const isNamedBatch = (bytes: Uint8Array, at: number): boolean =>
  frameLogId(bytes, at) !== 0 && frameTakesOffsets(bytes, at);

/** Returns true for a command about a named log. A commit of a cursor counts as a batch: it costs a fold as little. */
export const isNamedCommand = (bytes: Uint8Array, at: number): boolean =>
  frameLogId(bytes, at) !== 0 &&
  !frameTakesOffsets(bytes, at) &&
  frameKind(bytes, at) !== batchKind.commitCursor;

/** Enters the frame at `at`, batch `ordinal` of its segment, if it is about a named log. */
export function enterNamed(
  logs: ActiveLogIndex,
  ordinal: number,
  bytes: Uint8Array,
  at: number,
  lastBatch: LastBatch,
): void {
  const id = frameLogId(bytes, at);
  if (id === 0) return;
  logs.touch(id, isNamedCommand(bytes, at));
  if (!isNamedBatch(bytes, at)) return;
  logs.append(id, ordinal, frameBaseOffset(bytes, at), () => lastBatch(id, frameIndex(bytes, at)));
}

/** Returns a visitor for scanStore() that enters each frame into `index`. */
export function indexer(index: ActiveIndex): VisitFrame {
  return (bytes, at, position, before) => enterFrame(index, bytes, at, position, before);
}
