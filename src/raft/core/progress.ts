/**
 * A leader's view of one follower: how far its log is, and how much is in flight to it.
 *
 *   probe       one append at a time, until it is known where the logs match
 *   replicate   appends without waiting, up to a window
 *   snapshot    a snapshot is being sent, and nothing else
 */
import type { RaftIndex } from "./types.ts";

/** The window: appends with entries that are not answered yet. Bounded by count and bytes. */
export class Inflights {
  readonly countMax: number;
  readonly bytesMax: number;
  /** Oldest first from #start: last index and bytes of each append. */
  readonly #indexes: RaftIndex[] = [];
  readonly #sizes: number[] = [];
  #start = 0;
  #bytes = 0;

  /** `bytesMax` 0 means no limit in bytes. */
  constructor(countMax: number, bytesMax: number) {
    this.countMax = countMax;
    this.bytesMax = bytesMax === 0 ? Number.POSITIVE_INFINITY : bytesMax;
  }

  get count(): number {
    return this.#indexes.length - this.#start;
  }

  get full(): boolean {
    return this.count >= this.countMax || this.#bytes >= this.bytesMax;
  }

  /** Notes an append whose last entry is `last`. The window must not be full. */
  add(last: RaftIndex, bytes: number): void {
    this.#indexes.push(last);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Drops every append whose last entry is at or below `index`. */
  freeTo(index: RaftIndex): void {
    while (this.#start < this.#indexes.length && (this.#indexes[this.#start] as number) <= index) {
      this.#bytes -= this.#sizes[this.#start] as number;
      this.#start++;
    }
    if (this.#start === this.#indexes.length) this.clear();
    else if (this.#start >= 64 && this.#start * 2 >= this.#indexes.length) {
      this.#indexes.splice(0, this.#start);
      this.#sizes.splice(0, this.#start);
      this.#start = 0;
    }
  }

  clear(): void {
    this.#indexes.length = 0;
    this.#sizes.length = 0;
    this.#start = 0;
    this.#bytes = 0;
  }
}

export type ProgressState = "probe" | "replicate" | "snapshot";

/** One follower (or the leader itself). Invariant: match < next. */
export class Progress {
  /** The highest entry known to be on the follower. */
  match: RaftIndex;
  /** The next entry to send: all entries below it were sent or are known to be on the follower. */
  next: RaftIndex;
  /** The highest commit index sent. */
  sentCommit: RaftIndex = 0;
  state: ProgressState = "probe";
  /** In state snapshot: the index of the snapshot in flight. */
  pendingSnapshot: RaftIndex = 0;
  /** It has answered since the last quorum check. */
  active: boolean;
  /** Nothing more is sent until it answers. */
  paused = false;
  learner: boolean;
  readonly inflights: Inflights;

  constructor(next: RaftIndex, inflights: Inflights, learner: boolean, active: boolean) {
    this.match = 0;
    this.next = next;
    this.inflights = inflights;
    this.learner = learner;
    this.active = active;
  }

  /** No append may be sent now. */
  get blocked(): boolean {
    return this.state === "snapshot" || this.paused;
  }

  /** Starts probing behind the follower's match, or behind the snapshot in flight. */
  becomeProbe(): void {
    const received = this.state === "snapshot" ? this.pendingSnapshot : 0;
    this.#become("probe");
    this.next = Math.max(this.match, received) + 1;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  /** Its acknowledgments do not count any more: it is probed from `lastIndex` on. */
  forget(lastIndex: RaftIndex): void {
    this.match = 0;
    this.#become("probe");
    this.next = lastIndex + 1;
    this.sentCommit = 0;
    this.active = false;
  }

  becomeReplicate(): void {
    this.#become("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: RaftIndex): void {
    this.#become("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  /** An append of `count` entries with `bytes` has been sent. */
  sent(count: number, bytes: number): void {
    if (this.state === "replicate") {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.paused = this.inflights.full;
    } else if (count > 0) this.paused = true;
  }

  /** Whether this commit index is news to the follower, considering the messages in flight. */
  canRaiseCommit(commit: RaftIndex): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** Notes that the follower has all entries up to `index`. False if that was known. */
  acknowledged(index: RaftIndex): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.paused = false;
    return true;
  }

  /**
   * Notes that the follower refused an append behind `refused`; its log may match up to `hint`. False if the refusal is old
   * and later appends have made it irrelevant.
   */
  refused(refused: RaftIndex, hint: RaftIndex): boolean {
    if (this.state === "replicate") {
      if (refused <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (this.next - 1 !== refused) return false;
      this.next = Math.max(Math.min(refused, hint + 1), this.match + 1);
      this.paused = false;
    }
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    return true;
  }

  #become(state: ProgressState): void {
    this.paused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.clear();
  }
}
