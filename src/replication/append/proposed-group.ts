/** A write group that was proposed to Raft and is not applied yet. */
import { Fault } from "../../fault.ts";
import {
  appendResult,
  frameBaseOffset,
  frameIndex,
  frameLogId,
  frameTimestampMs,
  isDraft,
  type QueuedGroup,
} from "../../log/mod.ts";
import type { ProposalWaiter } from "../../raft/mod.ts";
import type { Offset, RaftIndex, Term } from "../../types.ts";

export class ProposedGroup implements ProposalWaiter {
  readonly group: QueuedGroup;
  readonly term: Term;
  /** Drafts. Raft's driver seals them in place. */
  readonly frames: readonly Uint8Array[];
  readonly #onSettled: (proposed: ProposedGroup, fault: Fault | undefined) => void;

  /** `onSettled` is called after the group's callers, with the fault if the group failed. */
  constructor(
    group: QueuedGroup,
    term: Term,
    onSettled: (proposed: ProposedGroup, fault: Fault | undefined) => void,
  ) {
    this.group = group;
    this.term = term;
    this.frames = group.builder.drafts();
    this.#onSettled = onSettled;
  }

  /** The index of its last frame; infinite before it is sealed. */
  get lastIndex(): RaftIndex {
    const last = this.frames[this.frames.length - 1]!;
    return isDraft(last, 0) ? Number.POSITIVE_INFINITY : frameIndex(last, 0);
  }

  applied(): void {
    const [first] = this.frames;
    const base = this.#defaultBase();
    const timestampMs = frameTimestampMs(first!, 0);
    for (const waiter of this.group.waiters) waiter.resolve(appendResult(waiter, base, timestampMs));
    for (const barrier of this.group.barriers) barrier(undefined);
    this.#onSettled(this, undefined);
  }

  /** The offset of its first record of `default`; 0 if it has none. */
  #defaultBase(): Offset {
    const frame = this.frames.find((bytes) => frameLogId(bytes, 0) === 0);
    return frame === undefined ? 0 : frameBaseOffset(frame, 0);
  }

  failed(reason: Error): void {
    const fault = Fault.from(reason);
    this.group.fail(fault);
    this.#onSettled(this, fault);
  }
}
