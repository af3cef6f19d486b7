/**
 * The runs of one stream on their way to the leader: which of them may be sent now. Pure.
 *
 *   waiting ── next(target) ──► under way ── written ──► done
 *      ▲                            │ refused, or the outcome is unknown
 *      └────────────────────────────┘
 *
 * Invariants:
 * - Runs are sent in the order in which they were added.
 * - Several are under way only to one target, and only while none of them has failed. After a failure nothing is sent
 *   until all that is under way has settled. Then the first unsettled run goes alone, and the others follow once it is
 *   written.
 * - A run that was refused after a later one was written is `overtaken`: it cannot be written in order any more.
 */
import type { AppendOptions, RecordRun } from "../../types.ts";
import { isRepeatable } from "./retry-decision.ts";

export interface QueuedRun {
  readonly run: RecordRun;
  readonly options: AppendOptions;
  /** A later run of the stream was written while this one was not. */
  overtaken: boolean;
  settled: boolean;
}

/** Runs that travel as one request. */
export interface Flight<Run extends QueuedRun> {
  readonly target: string;
  readonly runs: readonly Run[];
  readonly bytes: number;
}

export interface OrderLimits {
  /** Requests of one stream under way at once. */
  readonly flightsMax: number;
  readonly bytesMax: number;
  /** Runs without conditions travel together up to this size. */
  readonly joinedBytesMax: number;
  readonly joinedRecordsMax: number;
}

const defaultOrderLimits: OrderLimits = {
  flightsMax: 32,
  bytesMax: 8 * 1024 * 1024,
  joinedBytesMax: 64 * 1024,
  joinedRecordsMax: 1024,
};

export class OrderedRuns<Run extends QueuedRun> {
  readonly #limits: OrderLimits;
  #runs: Run[] = [];
  /** Position of the first run that is not settled, and of the first that is not under way. */
  #start = 0;
  #unsent = 0;
  readonly #flights = new Set<Flight<Run>>();
  #bytes = 0;
  #target: string | undefined;
  #failed = false;
  #probing = false;

  constructor(limits: OrderLimits = defaultOrderLimits) {
    this.#limits = limits;
  }

  /** Runs that are not settled. */
  get size(): number {
    return this.#runs.length - this.#start;
  }

  get flights(): ReadonlySet<Flight<Run>> {
    return this.#flights;
  }

  /** The first run that is not settled. */
  get first(): Run | undefined {
    return this.#runs[this.#start];
  }

  add(run: Run): void {
    this.#runs.push(run);
  }

  /** May next() have something for this target? */
  canSend(target: string): boolean {
    const { flightsMax, bytesMax } = this.#limits;
    if (this.#flights.size === 0) return this.size > 0;
    return (
      !this.#failed &&
      !this.#probing &&
      this.#target === target &&
      this.#flights.size < flightsMax &&
      this.#bytes < bytesMax &&
      this.#firstUnsent() !== undefined
    );
  }

  /** What is to be sent now, if anything; it counts as under way. */
  next(target: string): Flight<Run> | undefined {
    if (!this.canSend(target)) return undefined;
    if (this.#flights.size === 0) {
      this.#failed = false;
      this.#unsent = this.#start;
    }
    const runs = this.#join();
    let bytes = 0;
    for (const one of runs) bytes += one.run.bytes.length;
    const flight = { target, runs, bytes };
    this.#unsent += runs.length;
    this.#target = target;
    this.#bytes += bytes;
    this.#flights.add(flight);
    return flight;
  }

  /** All runs of the flight are in the log. */
  written(flight: Flight<Run>): void {
    this.#landed(flight);
    this.#probing = false;
    for (const run of flight.runs) this.settle(run);
  }

  /** The flight came to nothing, or nothing is known of it: its runs wait again. */
  failed(flight: Flight<Run>): void {
    this.#landed(flight);
    this.#failed = true;
    this.#probing = true;
  }

  /** This run is done, however it ended. One that is written makes those before it overtaken. */
  settle(run: Run, isWritten = true): void {
    if (run.settled) return;
    if (isWritten) {
      for (let at = this.#start; at < this.#runs.length && this.#runs[at] !== run; at++) {
        this.#runs[at]!.overtaken = true;
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

  /** Takes out what is not under way, in order: it will not be sent. */
  takeWaiting(): Run[] {
    const flying = new Set([...this.#flights].flatMap(({ runs }) => runs));
    const isWaiting = (run: Run): boolean => !run.settled && !flying.has(run);
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

  #landed(flight: Flight<Run>): void {
    if (this.#flights.delete(flight)) this.#bytes -= flight.bytes;
  }

  /** The first unsent run, and those behind it that may travel with it. */
  #join(): Run[] {
    const first = this.#firstUnsent()!;
    const runs = [first];
    // One with a condition travels alone.
    if (isRepeatable(first.options)) return runs;
    const { joinedBytesMax, joinedRecordsMax } = this.#limits;
    let bytes = first.run.bytes.length;
    let count = first.run.count;
    for (let at = this.#unsent + 1; at < this.#runs.length; at++) {
      const run = this.#runs[at]!;
      bytes += run.run.bytes.length;
      count += run.run.count;
      if (bytes > joinedBytesMax || count > joinedRecordsMax) break;
      if (run.settled || !isAlike(first.options, run.options)) break;
      runs.push(run);
    }
    return runs;
  }
}

const isAlike = (a: AppendOptions, b: AppendOptions): boolean =>
  !isRepeatable(b) &&
  a.deadlineMs === b.deadlineMs &&
  a.subject === b.subject &&
  a.traceparent === b.traceparent;

/** The runs of a flight as one. */
export function joinedRun({ runs, bytes: length }: Flight<QueuedRun>): RecordRun {
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
