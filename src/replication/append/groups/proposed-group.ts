/** A write group that was proposed to Raft and is not applied yet. */
import { Fault } from "../../../fault.ts";
import {
  appendResult,
  frameBaseOffset,
  frameIndex,
  frameLogId,
  frameTimestampMs,
  isDraft,
  type WriteGroup,
} from "../../../log/mod.ts";
import type { ProposalWaiter } from "../../../raft/mod.ts";
import type { Offset, RaftIndex, Term } from "../../../types.ts";

export class ProposedGroup implements ProposalWaiter {
  readonly group: WriteGroup;
  readonly term: Term;
  /** Drafts. Raft's driver seals them in place. */
  readonly frames: readonly Uint8Array[];
  readonly #onSettled: (proposed: ProposedGroup, fault: Fault | undefined) => void;

  /** `onSettled` is called after the group's callers, with the fault if the group failed. */
  constructor(
    group: WriteGroup,
    term: Term,
    onSettled: (proposed: ProposedGroup, fault: Fault | undefined) => void,
  ) {
    this.group = group;
    this.term = term;
    this.frames = group.drafts();
    this.#onSettled = onSettled;
  }

  /** The index of its last frame; infinite before it is sealed. */
  get lastIndex(): RaftIndex {
    const last = this.frames[this.frames.length - 1]!;
    return isDraft(last, 0) ? Number.POSITIVE_INFINITY : frameIndex(last, 0);
  }

  applied(): void {
    const [first] = this.frames;
    const timestampMs = frameTimestampMs(first!, 0);
    let base = this.#defaultBase();
    for (const { builder, logId, waiters } of this.group.parts) {
      for (const waiter of waiters) waiter.resolve(appendResult(waiter, base, timestampMs));
      if (logId === 0) base += builder.records;
    }
    let end = 0;
    for (const { builder, barriers } of this.group.parts) {
      end += builder.batches;
      for (const barrier of barriers) barrier(undefined, this.frames[end - 1]);
    }
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
