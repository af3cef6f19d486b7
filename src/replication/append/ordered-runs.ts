/**
 * The runs of one stream on their way to the leader: decides which of them may be sent now. Pure.
 *
 *   waiting ── takeNext(target) ──► in flight ── written ──► settled
 *      ▲                               │ refused, or the outcome is unknown
 *      └───────────────────────────────┘
 *
 * Invariants:
 * - Runs are sent in the order in which they were added.
 * - Several groups are in flight only to one target, and only while none of them has failed. After a failure nothing is
 *   sent until all groups in flight have completed. Then the first unsettled group is sent alone, and the others follow
 *   once it is written.
 * - A run that was refused after a later one for its log was written is `overtaken`: it cannot be written in order any more.
 *   Between logs there is no order.
 */
import type { AppendOptions, RecordRun } from "../../types.ts";
import { isJoinable } from "./retry-decision.ts";

export interface QueuedRun {
  readonly run: RecordRun;
  readonly options: AppendOptions;
  /** A later run of the stream for the same log was written while this one was not. */
  overtaken: boolean;
  settled: boolean;
}

/** Runs that are sent as one request. */
export interface OrderedGroup<Run extends QueuedRun> {
  readonly target: string;
  readonly runs: readonly Run[];
  readonly bytes: number;
}

export interface OrderLimits {
  /** Groups of one stream in flight at once. */
  readonly groupsMax: number;
  /** Bytes of one stream in flight at once. */
  readonly bytesMax: number;
  /** Runs without conditions are joined into one group up to this size. */
  readonly joinedBytesMax: number;
  readonly joinedRecordsMax: number;
}

const defaultOrderLimits: OrderLimits = {
  groupsMax: 32,
  bytesMax: 8 * 1024 * 1024,
  joinedBytesMax: 64 * 1024,
  joinedRecordsMax: 1024,
};

export class OrderedRuns<Run extends QueuedRun> {
  readonly #limits: OrderLimits;
  #runs: Run[] = [];
  /** Positions of the first unsettled run and of the first that is not in flight. */
  #start = 0;
  #unsent = 0;
  readonly #inFlight = new Set<OrderedGroup<Run>>();
  #bytes = 0;
  #target: string | undefined;
  #failed = false;
  #probing = false;

  constructor(limits: OrderLimits = defaultOrderLimits) {
    this.#limits = limits;
  }

  /** The number of unsettled runs, counted from the first of them. */
  get size(): number {
    return this.#runs.length - this.#start;
  }

  get inFlight(): ReadonlySet<OrderedGroup<Run>> {
    return this.#inFlight;
  }

  /** The first unsettled run. */
  get first(): Run | undefined {
    return this.#runs[this.#start];
  }

  add(run: Run): void {
    this.#runs.push(run);
  }

  /** Returns the first run of the group that takeNext() would return for this target. */
  next(target: string): Run | undefined {
    const { groupsMax, bytesMax } = this.#limits;
    if (this.#inFlight.size === 0) return this.first;
    const maySend =
      !this.#failed &&
      !this.#probing &&
      this.#target === target &&
      this.#inFlight.size < groupsMax &&
      this.#bytes < bytesMax;
    return maySend ? this.#firstUnsent() : undefined;
  }

  /** Returns the group to send now, if any. It counts as in flight until written() or failed(). */
  takeNext(target: string): OrderedGroup<Run> | undefined {
    if (this.next(target) === undefined) return undefined;
    if (this.#inFlight.size === 0) {
      this.#failed = false;
      this.#unsent = this.#start;
    }
    const runs = this.#joinable();
    let bytes = 0;
    for (const one of runs) bytes += one.run.bytes.length;
    const group = { target, runs, bytes };
    this.#unsent += runs.length;
    this.#target = target;
    this.#bytes += bytes;
    this.#inFlight.add(group);
    return group;
  }

  /** All runs of the group are in the log. */
  written(group: OrderedGroup<Run>): void {
    this.#completed(group);
    this.#probing = false;
    for (const run of group.runs) this.settle(run);
  }

  /** The group was refused, or its outcome is unknown: its runs wait again. */
  failed(group: OrderedGroup<Run>): void {
    this.#completed(group);
    this.#failed = true;
    this.#probing = true;
  }

  /** Removes a run. If it was written, the unsettled runs for its log before it are overtaken. */
  settle(run: Run, isWritten = true): void {
    if (run.settled) return;
    if (isWritten) {
      for (let at = this.#start; at < this.#runs.length && this.#runs[at] !== run; at++) {
        const before = this.#runs[at]!;
        if (before.options.log?.name === run.options.log?.name) before.overtaken = true;
      }
    }
    run.settled = true;
    while (this.#runs[this.#start]?.settled) this.#start++;
    this.#unsent = Math.max(this.#unsent, this.#start);
    if (this.#start >= 1024 || this.#start === this.#runs.length) {
      this.#runs.splice(0, this.#start);
      this.#unsent -= this.#start;
      this.#start = 0;
    }
  }

  /** Removes and returns the runs that are not in flight, in order. They will not be sent. */
  takeWaiting(): Run[] {
    const sent = new Set([...this.#inFlight].flatMap(({ runs }) => runs));
    const isWaiting = (run: Run): boolean => !run.settled && !sent.has(run);
    const waiting = this.#runs.filter(isWaiting);
    this.#runs = this.#runs.slice(this.#start).filter((run) => !isWaiting(run));
    this.#start = 0;
    this.#unsent = this.#runs.length;
    return waiting;
  }

  #firstUnsent(): Run | undefined {
    while (this.#runs[this.#unsent]?.settled) this.#unsent++;
    return this.#runs[this.#unsent];
  }

  #completed(group: OrderedGroup<Run>): void {
    if (this.#inFlight.delete(group)) this.#bytes -= group.bytes;
  }

  /** Returns the first unsent run and those behind it that can be joined with it. */
  #joinable(): Run[] {
    const first = this.#firstUnsent()!;
    const runs = [first];
    // A run with a condition is sent alone.
    if (!isJoinable(first.options)) return runs;
    const { joinedBytesMax, joinedRecordsMax } = this.#limits;
    let bytes = first.run.bytes.length;
    let count = first.run.count;
    for (let at = this.#unsent + 1; at < this.#runs.length; at++) {
      const run = this.#runs[at]!;
      bytes += run.run.bytes.length;
      count += run.run.count;
      if (bytes > joinedBytesMax || count > joinedRecordsMax) break;
      if (run.settled || !hasSameOptions(first.options, run.options)) break;
      runs.push(run);
    }
    return runs;
  }
}

const hasSameOptions = (a: AppendOptions, b: AppendOptions): boolean =>
  isJoinable(b) &&
  a.log?.name === b.log?.name &&
  a.log?.id === b.log?.id &&
  a.log?.life === b.log?.life &&
  a.deadlineMs === b.deadlineMs &&
  a.subject === b.subject &&
  a.traceparent === b.traceparent;

/** Returns the runs of a group as one run. */
export function joinedRun({ runs, bytes: length }: OrderedGroup<QueuedRun>): RecordRun {
  if (runs.length === 1) return runs[0]!.run;
  const bytes = new Uint8Array(length);
  let at = 0;
  let count = 0;
  for (const { run } of runs) {
    bytes.set(run.bytes, at);
    at += run.bytes.length;
    count += run.count;
  }
  return { bytes, count };
}
