/**
 * A cursor on the committed records of several logs, in the order of the Raft log.
 *
 *   behind    new batches are looked for in the frame cache; older ones by the log indexes of the segments (member-batches.ts)
 *   at rest   it costs nothing. A commit about one of its logs wakes it (TailWatch), and it goes on at that commit
 *
 * What a step looks at is limited: take() returns "later" when the limit is reached.
 */
import { Fault } from "../../fault.ts";
import type {
  BatchSlice,
  Bounds,
  DeletedLog,
  LogId,
  MultiTail,
  Offset,
  RaftIndex,
  RaftPosition,
  TailedBatches,
  TailedLogName,
} from "../../types.ts";
import { frameBaseOffset, frameBytes, frameNextOffset } from "../frame/frame.ts";
import { segmentOfIndex } from "../segment/find-segment.ts";
import type { Segment } from "../segment/segment.ts";
import type { FrameCache } from "./frame-cache.ts";
import { type BatchPlan, planBatches, type ReadBatches, readPlanned } from "./member-batches.ts";
import { partOf } from "./reader.ts";
import { findMembers, type MemberRows, type Members, membersOf } from "./segment-members.ts";
import type { TailWatch, WatchingTail } from "./tail-watch.ts";

/** What a tail needs of the stored log. */
export interface FollowedLog extends MemberRows {
  readonly segments: readonly Segment[];
  readonly frameCache: FrameCache;
  readonly commitIndex: RaftIndex;
  /** Of `default`. */
  readonly bounds: Bounds;
  readonly closed: boolean;
  readonly life: number;
  /** Grows when the log is replaced. */
  readonly resets: number;
  readonly tails: TailWatch;
  /** Of the monotonic clock; undefined without a clock. */
  readonly nowMs?: (() => number) | undefined;
}

/** The logs of a tail: resolved names, or a prefix. */
export type FollowedLogs =
  | {
      readonly named: readonly TailedLogName[];
      /** Logs that were named and are deleted already. */
      readonly deleted: readonly TailedLogName[];
    }
  | { readonly prefix: string; readonly may: (name: string) => boolean; readonly asksMax: number };

export interface LogsTailOptions {
  readonly log: FollowedLog;
  readonly logs: FollowedLogs;
  readonly from: RaftPosition;
  /** Why this node gets no more records, if so. */
  readonly cutOff: () => Fault | undefined;
}

const takeBytesDefault = 256 * 1024;
/** What one step looks at: frames in memory, or logs of a segment. */
const looksMax = 1_024;
/** Of how many of the logs of these frames the row is looked at: one that is not in memory takes 10 to 100 µs. */
const asksMax = 64;
/** Steps on a log index that is missing, in one take(): about 2 ms. */
const rebuildSteps = 32;
/** A take() begins no further step after so many milliseconds. */
const takeMsMax = 5;

export class LogsTail implements MultiTail, WatchingTail {
  readonly #log: FollowedLog;
  readonly #prefix: Extract<FollowedLogs, { prefix: string }> | undefined;
  /** The logs that were named and still exist, as far as the tail has looked. */
  readonly #named = new Map<LogId, string>();
  /** Those of which records were taken since the last ends(). */
  readonly #taken = new Set<LogId>();
  /** Those that are to be looked at, because they may be deleted. */
  readonly #changed = new Set<LogId>();
  /** Deleted logs that are to be shown. */
  readonly #deleted: TailedLogName[] = [];
  readonly #cutOff: () => Fault | undefined;
  readonly #resets: number;
  readonly #looksMax: number;
  readonly #stopWatching: () => void;
  #index: RaftIndex;
  /** Records of the batch at #index that were shown before the tail began. */
  #sent: number;
  /** All was taken, and nothing is to be looked for before #dirty. */
  #isAtRest = false;
  #dirty: RaftIndex | undefined;
  /** What was read from a segment and not yet taken. */
  #read: ReadBatches[] = [];
  #plan: { readonly segment: Segment; readonly plan: BatchPlan; at: number } | undefined;
  #planning: { readonly segment: Segment; readonly steps: Generator<void, BatchPlan, void> } | undefined;
  /** The logs of the prefix that a segment holds, which does not grow any more. */
  #members: { readonly segment: Segment; readonly members: Members } | undefined;
  /** This take() has read from a disk. */
  #hasRead = false;
  #disposed = false;
  #pending:
    | { readonly resolve: (available: boolean) => void; readonly promise: Promise<boolean> }
    | undefined;

  constructor({ log, logs, from, cutOff }: LogsTailOptions) {
    this.#log = log;
    this.#cutOff = cutOff;
    this.#resets = log.resets;
    this.#index = from.index;
    this.#sent = from.sent;
    if ("prefix" in logs) this.#prefix = logs;
    else {
      for (const { id, name } of logs.named) {
        this.#named.set(id, name);
        this.#changed.add(id);
      }
      this.#deleted.push(...logs.deleted);
    }
    this.#looksMax = Math.min(looksMax, this.#prefix?.asksMax ?? looksMax);
    const ids = [...this.#named.keys()];
    this.#stopWatching = log.tails.add(this, { ids, prefix: this.#prefix?.prefix });
  }

  get position(): RaftPosition {
    const isIdle = this.#isAtRest && this.#dirty === undefined;
    return isIdle ? { index: this.#log.commitIndex + 1, sent: 0 } : { index: this.#index, sent: this.#sent };
  }

  get end(): RaftIndex {
    return this.#log.commitIndex;
  }

  get life(): number {
    return this.#log.life;
  }

  ends(which: "all" | "taken"): readonly (TailedLogName & { readonly next: Offset })[] {
    const ends: (TailedLogName & { readonly next: Offset })[] = [];
    for (const id of which === "all" ? this.#named.keys() : this.#taken) {
      const name = this.#named.get(id);
      const next = this.#boundsOf(id)?.next;
      if (name !== undefined && next !== undefined) ends.push({ id, name, next });
    }
    this.#taken.clear();
    return ends;
  }

  take(maxBytes = takeBytesDefault): TailedBatches | DeletedLog | "later" | undefined {
    if (this.#disposed || this.#log.closed) return undefined;
    if (this.#log.resets !== this.#resets) throw replaced();
    this.#lookAtNames();
    const deleted = this.#deleted.shift();
    if (deleted !== undefined) return { deleted };
    this.#leaveRest();
    const firstIndex = this.#log.segments[0]?.first ?? this.#log.commitIndex + 1;
    if (this.#index < firstIndex) this.#goTo(firstIndex);
    this.#hasRead = false;
    const untilMs = (this.#log.nowMs?.() ?? 0) + takeMsMax;
    for (let looks = 0; this.#index <= this.#log.commitIndex; looks++) {
      if (looks >= this.#looksMax || (looks > 0 && (this.#log.nowMs?.() ?? 0) >= untilMs)) return "later";
      const found = this.#next(maxBytes);
      if (found !== undefined) return found;
    }
    this.#isAtRest = true;
    this.#dirty = undefined;
    const cutOff = this.#cutOff() ?? (this.#isLost ? allDeleted() : undefined);
    if (cutOff !== undefined) throw cutOff;
    return undefined;
  }

  nextBytes(): number {
    if (this.#read[0] !== undefined) return this.#read[0].frames.length;
    return this.#isAtRest && this.#dirty === undefined ? 0 : takeBytesDefault / 4;
  }

  ready(): Promise<boolean> {
    if (this.#disposed || this.#log.closed) return Promise.resolve(false);
    if (this.#isReady()) return Promise.resolve(true);
    if (this.#isEnded()) return Promise.resolve(false);
    this.#pending ??= Promise.withResolvers<boolean>();
    return this.#pending.promise;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#stopWatching();
    this.#read = [];
    this.#settle(false);
  }

  committed(from: RaftIndex, id: LogId): void {
    this.#dirty ??= from;
    if (this.#named.has(id)) this.#changed.add(id);
    this.woken();
  }

  woken(): void {
    if (this.#pending === undefined) return;
    if (this.#log.closed) this.#settle(false);
    else if (this.#isReady()) this.#settle(true);
  }

  /** True if all logs that were named are deleted. */
  get #isLost(): boolean {
    return this.#prefix === undefined && this.#named.size === 0;
  }

  #isReady(): boolean {
    if (!this.#isAtRest || this.#dirty !== undefined || this.#deleted.length > 0) return true;
    return this.#isLost || this.#log.resets !== this.#resets || this.#cutOff() !== undefined;
  }

  /** True if all logs that were named are closed, and shown to their end. */
  #isEnded(): boolean {
    if (this.#prefix !== undefined) return false;
    for (const id of this.#named.keys()) if (this.#log.row(id)?.closed !== true) return false;
    return true;
  }

  /** Notes the logs that were named and are deleted. A log that has such a name now is another one. */
  #lookAtNames(): void {
    for (const id of this.#changed) {
      const name = this.#named.get(id);
      if (name === undefined || this.#boundsOf(id) !== undefined) continue;
      this.#named.delete(id);
      this.#deleted.push({ id, name });
    }
    this.#changed.clear();
  }

  /** Goes on at the first commit about its logs. What was committed before that is about others. */
  #leaveRest(): void {
    if (!this.#isAtRest) return;
    this.#goTo(Math.max(this.#index, this.#dirty ?? this.#log.commitIndex + 1));
    this.#isAtRest = false;
    this.#dirty = undefined;
  }

  #goTo(index: RaftIndex): void {
    if (index === this.#index) return;
    this.#index = index;
    this.#sent = 0;
    this.#read = [];
    this.#plan = undefined;
    this.#planning = undefined;
  }

  /** One step. Undefined: it found nothing to show and moved on. */
  #next(maxBytes: number): TailedBatches | "later" | undefined {
    const read = this.#read.shift();
    if (read !== undefined) return this.#shown(read.id, read.index, read.count, sliceOf(read.frames));
    const { commitIndex, frameCache } = this.#log;
    const found =
      this.#plan === undefined
        ? frameCache.findBatch(this.#index, commitIndex, this.#isWanted, this.#looksMax, asksMax)
        : undefined;
    if (found === undefined) return this.#nextFromDisk(maxBytes);
    this.#pass(found.index);
    if (found.batch === undefined) return found.index > commitIndex ? undefined : "later";
    const { id, slice } = found.batch;
    const part = slice.frames.length <= maxBytes ? slice : partOf(slice, slice.firstOffset, maxBytes);
    return this.#shown(id, found.index, framesIn(part.frames), part);
  }

  #nextFromDisk(maxBytes: number): "later" | undefined {
    const plan = this.#planned();
    if (plan === undefined) return "later";
    const { segment, plan: planned } = plan;
    if (plan.at >= planned.batches.length) {
      this.#plan = undefined;
      this.#pass(segment.first + planned.next);
      return undefined;
    }
    if (this.#hasRead) return "later";
    this.#hasRead = true;
    const { read, count } = readPlanned(segment, planned.batches, plan.at, maxBytes);
    plan.at += count;
    this.#read = [...read];
    return undefined;
  }

  /** The plan of the segment at #index. Undefined: it needs another turn. */
  #planned(): { readonly segment: Segment; readonly plan: BatchPlan; at: number } | undefined {
    const segment = segmentOfIndex(this.#log.segments, this.#index);
    if (this.#plan?.segment === segment) return this.#plan;
    this.#plan = undefined;
    if (this.#planning?.segment !== segment) {
      const from = this.#index - segment.first;
      const stored = segment.lookup(({ length }) => length);
      const last = Math.min(stored, this.#log.commitIndex - segment.first + 1) - 1;
      this.#planning = { segment, steps: this.#plans(segment, from, last) };
    }
    const { done, value } = this.#planning.steps.next();
    if (done !== true) return undefined;
    this.#planning = undefined;
    this.#plan = { segment, plan: value, at: 0 };
    return this.#plan;
  }

  *#plans(segment: Segment, from: number, last: number): Generator<void, BatchPlan, void> {
    const isOfDefault = this.#prefix === undefined && this.#named.size === 1 && this.#named.has(0);
    if (!isOfDefault) while (!segment.prepareLogs(rebuildSteps)) yield;
    const members = yield* this.#membersIn(segment);
    return yield* planBatches(segment, { from, last }, members, this.#isWanted, this.#looksMax);
  }

  *#membersIn(segment: Segment): Generator<void, Members, void> {
    if (this.#prefix === undefined) return membersOf([...this.#named.keys()]);
    if (this.#members?.segment === segment) return this.#members.members;
    const isWhole = this.#isWhole(segment);
    const members = yield* findMembers(this.#log, segment, this.#prefix.prefix);
    this.#members = isWhole ? { segment, members } : undefined;
    return members;
  }

  /** Returns true if the segment gets no more logs: it is sealed, and all of it is committed. */
  #isWhole(segment: Segment): boolean {
    const { segments, commitIndex } = this.#log;
    return (
      segments.at(-1) !== segment && segment.first + segment.lookup(({ length }) => length) <= commitIndex + 1
    );
  }

  readonly #isWanted = (id: LogId): boolean => {
    if (this.#prefix === undefined) return this.#named.has(id);
    const name = id === 0 ? undefined : this.#log.row(id)?.name;
    return name?.startsWith(this.#prefix.prefix) === true && this.#prefix.may(name);
  };

  /** Nothing of its logs is before `index`, except what was taken. */
  #pass(index: RaftIndex): void {
    if (index === this.#index) return;
    this.#index = index;
    this.#sent = 0;
  }

  /** The batches as they are shown. Undefined: they were shown before, or are trimmed, or their log is deleted. */
  #shown(id: LogId, index: RaftIndex, count: number, slice: BatchSlice): TailedBatches | undefined {
    const { lowest } = this.#boundsOf(id) ?? {};
    const name = id === 0 ? this.#named.get(0) : this.#log.row(id)?.name;
    const sent = index === this.#index ? this.#sent : 0;
    this.#pass(index + count);
    if (lowest === undefined || name === undefined || !this.#isWanted(id)) return undefined;
    const resumed = Math.min(slice.firstOffset + sent, frameNextOffset(slice.frames, 0));
    const from = Math.max(resumed, lowest);
    if (from >= slice.nextOffset) return undefined;
    if (this.#prefix === undefined) this.#taken.add(id);
    return { log: { id, name }, slice, index, from };
  }

  #boundsOf(id: LogId): Bounds | undefined {
    return id === 0 ? this.#log.bounds : this.#log.row(id);
  }

  #settle(available: boolean): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve(available);
  }
}

function sliceOf(frames: Uint8Array): BatchSlice {
  let last = 0;
  for (let at = 0; at < frames.length; at += frameBytes(frames, at)) last = at;
  return { frames, firstOffset: frameBaseOffset(frames, 0), nextOffset: frameNextOffset(frames, last) };
}

function framesIn(frames: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < frames.length; at += frameBytes(frames, at)) count++;
  return count;
}

const allDeleted = (): Fault =>
  new Fault("not-found", { message: "all logs of the tail were deleted", facts: { reason: "NO_SUCH_LOG" } });

const replaced = (): Fault =>
  new Fault("unavailable", { message: "the log of this node was replaced, another node can go on" });
