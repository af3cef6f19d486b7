/**
 * A group of consecutive frames in one buffer: what one write to the disk takes, and what the frame cache keeps. Pure.
 */
import type { Offset, RaftIndex } from "../../types.ts";
import { frameLogId, frameNextOffset } from "./frame.ts";

/** A write group has at most this many bytes, so one crash can tear at most this many. */
export const groupBytesMax = 4 * 1024 * 1024;

/** `positions[k]` is where the frame of index `first + k` begins. One more position marks the end. */
export interface FrameGroup {
  readonly bytes: Uint8Array;
  readonly positions: readonly number[];
  readonly first: RaftIndex;
}

/** A group at its place in the log. */
export interface PlacedGroup extends FrameGroup {
  /** The next offset of `default` before the first frame. */
  readonly defaultBase: Offset;
}

/** The index of the last frame. */
export const lastOfGroup = (group: FrameGroup): RaftIndex => group.first + group.positions.length - 2;

/** Returns the group without the frames from index `from` on. `from` is above the group's first index. */
export function cutGroup(group: PlacedGroup, from: RaftIndex): PlacedGroup {
  if (lastOfGroup(group) < from) return group;
  const positions = group.positions.slice(0, from - group.first + 1);
  return { ...group, bytes: group.bytes.subarray(0, positions[positions.length - 1]), positions };
}

/** The next offset of `default` after frame `k` of a group, if it was `before` in front of the group. */
export function defaultNextInGroup({ bytes, positions }: FrameGroup, k: number, before: Offset): Offset {
  for (let at = k; at >= 0; at--) {
    const position = positions[at]!;
    if (frameLogId(bytes, position) === 0) return frameNextOffset(bytes, position);
  }
  return before;
}
