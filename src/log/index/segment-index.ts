/**
 * Builds the index of a segment from the frames of its store.
 */
import { frameBaseOffset, frameTerm, frameTimestampMs } from "../frame/frame.ts";
import { encodeIndexHeader, indexVersion } from "./index-file.ts";
import { type ActiveIndex, fitsEntry } from "./offset-index.ts";

/** Returns an index file without its footer: the header and the entries of `index`. */
export function indexBody(directoryId: Uint8Array, previousCrc: number, index: ActiveIndex): Uint8Array {
  const { base } = index;
  const header = encodeIndexHeader({ version: indexVersion, directoryId, base, previousCrc });
  return Buffer.concat([header, index.bytes(0, index.length)]);
}

/** Enters the frame at `at`, which stands at `position` of the store. Returns "entry" if no entry can describe it. */
export function enterFrame(
  index: ActiveIndex,
  bytes: Uint8Array,
  at: number,
  position: number,
): "entry" | undefined {
  const offset = frameBaseOffset(bytes, at);
  const timestampMs = frameTimestampMs(bytes, at);
  if (!fitsEntry(index.base, offset, position, timestampMs)) return "entry";
  index.append(offset, position, frameTerm(bytes, at), timestampMs);
  return undefined;
}

/** Returns a visitor for scanStore() that enters each frame into `index`. */
export function indexer(
  index: ActiveIndex,
): (bytes: Uint8Array, at: number, position: number) => "entry" | undefined {
  return (bytes, at, position) => enterFrame(index, bytes, at, position);
}
