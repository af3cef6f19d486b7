/**
 * The frames that were appended and are not written yet, and the end of the log, which they form.
 *
 * Invariant: the first staged frame follows the last written one, and each frame follows the one before it.
 */
import { Fault } from "../../fault.ts";
import type { RaftIndex, Term } from "../../types.ts";
import {
  type ChainEnd,
  type ChainFlaw,
  checkDefaultOffset,
  checkLink,
  checkNext,
  endAfter,
  linkOfFrame,
} from "../frame/chain.ts";
import { frameBytes } from "../frame/frame.ts";
import {
  cutGroup,
  defaultNextInGroup,
  type FrameGroup,
  lastOfGroup,
  type PlacedGroup,
} from "../frame/frame-group.ts";
import type { FrameCache } from "../read/frame-cache.ts";
import type { SegmentSet } from "../segment/segment-set.ts";
import type { LogState } from "../state/log-state.ts";

export class StagedFrames {
  readonly #set: SegmentSet;
  readonly #cache: FrameCache;
  #groups: PlacedGroup[] = [];
  #end: ChainEnd;

  constructor(set: SegmentSet, cache: FrameCache) {
    this.#set = set;
    this.#cache = cache;
    this.#end = set.end;
  }

  /** In the order of the log. */
  get groups(): readonly FrameGroup[] {
    return this.#groups;
  }

  /** The end of the log: what the next frame must follow. */
  get end(): ChainEnd {
    return this.#end;
  }

  /**
   * Appends frames, which the caller must not change afterwards. Frames up to `durable` may leave the frame cache.
   * @throws Fault "corrupt" if a frame is damaged or does not follow the one before it; then no frame was taken
   */
  stage(frames: Uint8Array, state: LogState, durable: RaftIndex): void {
    const positions: number[] = [];
    const first = this.#end.index + 1;
    let end = this.#end;
    let at = 0;
    while (at < frames.length) {
      const flaw = checkNext(frames, at, frames.length, end);
      if (flaw !== undefined) throw doesNotFollow(end, flaw);
      positions.push(at);
      end = endAfter(end, frames, at);
      at += frameBytes(frames, at);
    }
    if (positions.length === 0) return;
    positions.push(at);
    this.#add({ bytes: frames, positions, first }, state, durable);
  }

  /** Does the same for frames that are known to be sound and to form a chain. Only the first frame's link is checked. */
  stageChecked(group: FrameGroup, state: LogState, durable: RaftIndex): void {
    const { bytes, positions } = group;
    const at = positions[0]!;
    const flaw = checkLink(bytes, at, this.#end) ?? checkDefaultOffset(bytes, at, this.#end);
    if (flaw !== undefined) throw doesNotFollow(this.#end, flaw);
    this.#add(group, state, durable);
  }

  /** Returns the end of the log as it would be if `index` were its last. `index` is in the log or just before it. */
  endAt(index: RaftIndex): ChainEnd {
    if (index === this.#end.index) return this.#end;
    return this.#cache.endAt(index) ?? this.#set.endAt(index);
  }

  /** The term of the batch at `index`, or just before the first one. Undefined outside the log. */
  term(index: RaftIndex): Term | undefined {
    if (index === this.#end.index) return this.#end.term;
    if (index > this.#end.index) return undefined;
    return this.#cache.term(index) ?? this.#set.term(index);
  }

  /** The first `count` groups were written. */
  written(count: number): void {
    this.#groups.splice(0, count);
  }

  /** Everything up to `index` was written. A group that reaches further stays whole. */
  writtenTo(index: RaftIndex): void {
    this.#groups = this.#groups.filter((group) => lastOfGroup(group) > index);
  }

  /** Removes the frames from `from` on. The log ends at `end` then. */
  truncate(from: RaftIndex, end: ChainEnd): void {
    this.#groups = this.#groups.filter((group) => group.first < from);
    const last = this.#groups.pop();
    if (last !== undefined) this.#groups.push(cutGroup(last, from));
    this.#cache.truncate(from);
    this.#end = end;
  }

  /** Removes all frames. The log ends at `end` then. */
  reset(end: ChainEnd): void {
    this.#groups = [];
    this.#cache.clear();
    this.#end = end;
  }

  #add(group: FrameGroup, state: LogState, durable: RaftIndex): void {
    const { bytes, positions } = group;
    const last = positions.length - 2;
    for (let k = 0; k <= last; k++) {
      const flaw = state.stage(bytes, positions[k]!);
      if (flaw === undefined) continue;
      state.truncate(group.first);
      throw doesNotFollow(this.#end, flaw);
    }
    const placed = { ...group, defaultBase: this.#end.nextOffset };
    const nextOffset = defaultNextInGroup(group, last, this.#end.nextOffset);
    this.#end = { ...linkOfFrame(bytes, positions[last]!), nextOffset };
    this.#groups.push(placed);
    this.#cache.add(placed, durable);
  }
}

function doesNotFollow({ index }: ChainEnd, why: ChainFlaw): Fault {
  return new Fault("corrupt", {
    message: `a batch does not follow index ${index} (${why})`,
    facts: { index: index + 1, why },
  });
}
