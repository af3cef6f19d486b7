/** Joins separate runs of records into one run, of at most one batch: those of one producer in the order of its sequence. */

import { continuesSequence } from "../../log/mod.ts";
import type { ProducerStamp, RecordRun } from "../../types.ts";

/** The limits of one batch of coalesced appends in the log. */
const groupBytesMax = 64 * 1024;
const groupRecordsMax = 1024;

/** Shared by all groups: the log copies appended bytes before append() returns. */
const scratch = new Uint8Array(groupBytesMax);

/** Runs of a producer, or of none. */
export interface ProducedRun {
  readonly run: RecordRun;
  readonly producer: ProducerStamp | undefined;
}

export class RunGroup {
  count = 0;
  #bytes = 0;
  /** Of the first run. */
  #producer: ProducerStamp | undefined;
  readonly #runs: RecordRun[] = [];

  /** Returns true if there is room for the run, and it has the next sequence of the producer, or none as the others. */
  fits(run: RecordRun, producer?: ProducerStamp): boolean {
    if (this.count === 0) return true;
    if (this.count + run.count > groupRecordsMax || this.#bytes + run.bytes.length > groupBytesMax)
      return false;
    return continuesSequence(this.#producer, this.count, producer);
  }

  /** Adds a run that fits. Its bytes must not change before the group is empty. */
  add(run: RecordRun, producer?: ProducerStamp): void {
    if (this.count === 0) this.#producer = producer;
    this.#runs.push(run);
    this.#bytes += run.bytes.length;
    this.count += run.count;
  }

  /** Returns the runs as one, with the sequence of the first. It is valid until the next whole() of any group. */
  whole(): ProducedRun {
    const { count } = this;
    const only = this.#runs.length === 1 ? this.#runs[0] : undefined;
    return { run: only ?? { bytes: this.#join(), count }, producer: this.#producer };
  }

  /** The runs as they were added, each with its sequence. */
  *runs(): Generator<ProducedRun> {
    const first = this.#producer;
    let before = 0;
    for (const run of this.#runs) {
      yield { run, producer: first && { ...first, sequence: first.sequence + before } };
      before += run.count;
    }
  }

  clear(): void {
    this.#runs.length = 0;
    this.#bytes = 0;
    this.count = 0;
    this.#producer = undefined;
  }

  #join(): Uint8Array {
    let at = 0;
    for (const { bytes } of this.#runs) {
      scratch.set(bytes, at);
      at += bytes.length;
    }
    return scratch.subarray(0, at);
  }
}
