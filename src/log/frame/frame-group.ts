/**
 * A group of consecutive frames in one buffer: what one write to the disk takes, and what the frame cache keeps. Pure.
 */
import type { RaftIndex } from "../../types.ts";

/** A write group has at most this many bytes, so one crash can tear at most this many. */
export const groupBytesMax = 4 * 1024 * 1024;

/** `positions[k]` is where the frame of index `first + k` begins. One more position marks the end. */
export interface FrameGroup {
  readonly bytes: Uint8Array;
  readonly positions: readonly number[];
  readonly first: RaftIndex;
}

/** The index of the last frame. */
export const lastOfGroup = (group: FrameGroup): RaftIndex => group.first + group.positions.length - 2;

/** Returns the group without the frames from index `from` on. `from` is above the group's first index. */
export function cutGroup(group: FrameGroup, from: RaftIndex): FrameGroup {
  if (lastOfGroup(group) < from) return group;
  const positions = group.positions.slice(0, from - group.first + 1);
  return { bytes: group.bytes.subarray(0, positions[positions.length - 1]), positions, first: group.first };
}
