/**
 * What is known of the records of one log: which were acknowledged, when, and what each reader has read. It finds gaps,
 * repetitions, a wrong order, and records that are missing although they were acknowledged and are to be kept.
 */
import { type Run, RunList } from "./run-list.ts";

/** A time at which the log had been acknowledged up to an offset. */
interface Mark {
  readonly next: number;
  readonly atMs: number;
}

export class Ledger {
  readonly log: string;
  readonly acked = new RunList();
  /** What was read, by reader. */
  readonly read = new Map<string, RunList>();
  readonly violations: string[] = [];
  readonly #marks: Mark[] = [];

  constructor(log: string) {
    this.log = log;
  }

  ack(sequence: number, offset: number): void {
    if (!this.acked.add(offset, sequence))
      this.#violate(`offset ${offset} was acknowledged twice, now for ${sequence}`);
  }

  /** Notes the time, so that trimmed() can tell how old a record is. To be called every few seconds. */
  mark(nowMs: number): void {
    this.#marks.push({ next: this.acked.next, atMs: nowMs });
  }

  /** A reader got a record; `sequence` is undefined if its value is not one that was written to this log. */
  readRecord(reader: string, offset: number, sequence: number | undefined): void {
    if (sequence === undefined) {
      this.#violate(`${reader} read a value at offset ${offset} that was never written there`);
      return;
    }
    const list = this.read.get(reader) ?? new RunList();
    this.read.set(reader, list);
    const last = list.runs.at(-1);
    if (last !== undefined) {
      const next = last.offset + last.count;
      if (offset !== next) this.#violate(`${reader} read offset ${offset}, not ${next}`);
      if (sequence < last.sequence + last.count)
        this.#violate(`${reader} read ${sequence} after ${last.sequence + last.count - 1}`);
    }
    list.add(offset, sequence);
  }

  /** Acknowledged records that the slowest reader has not read. */
  get behind(): number {
    let behind = 0;
    for (const list of this.read.values()) behind = Math.max(behind, this.acked.next - list.next);
    return behind;
  }

  /** To be called when every reader should have read everything. */
  checkReaders(): void {
    for (const [reader, list] of this.read)
      for (const run of this.acked.missingIn(list, list.runs[0]?.offset))
        this.#violate(`${reader} did not read ${shown(run)}`);
  }

  /** What `node` still has, read from its lowest offset. Every acknowledged record from there on must be in it. */
  checkKept(node: string, lowest: number, kept: RunList): void {
    for (const run of this.acked.missingIn(kept, lowest)) this.#violate(`${node} lacks ${shown(run)}`);
  }

  /** When the newest record below `lowest` was acknowledged, or a little later; undefined if nothing was trimmed. */
  trimmedMs(lowest: number): number | undefined {
    if (lowest === 0) return undefined;
    return this.#marks.find(({ next }) => next >= lowest)?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** When the record at `lowest` was acknowledged at the earliest; undefined before the first mark. */
  oldestMs(lowest: number): number | undefined {
    return this.#marks.findLast(({ next }) => next <= lowest)?.atMs;
  }

  #violate(what: string): void {
    if (this.violations.length < 10) this.violations.push(`${this.log}: ${what}`);
  }
}

const shown = ({ offset, sequence, count }: Run): string =>
  `${count} acknowledged records from offset ${offset} (sequence ${sequence}) on`;
