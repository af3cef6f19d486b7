/** Joins separate runs of records into one run, of at most one batch. */
import type { RecordRun } from "../../types.ts";

/** The limits of one batch of coalesced appends in the log. */
const groupBytesMax = 64 * 1024;
const groupRecordsMax = 1024;

/** Shared by all groups: the log copies appended bytes before append() returns. */
const scratch = new Uint8Array(groupBytesMax);

export class RunGroup {
  count = 0;
  #bytes = 0;
  readonly #runs: Uint8Array[] = [];

  fits(run: RecordRun): boolean {
    return this.count + run.count <= groupRecordsMax && this.#bytes + run.bytes.length <= groupBytesMax;
  }

  /** Adds a run. A run that does not fit may only be added to an empty group. */
  add(run: RecordRun): void {
    this.#runs.push(run.bytes);
    this.#bytes += run.bytes.length;
    this.count += run.count;
  }

  /** Returns the runs as one and empties the group. The result is valid until the next take() of any group. */
  take(): RecordRun {
    const { count } = this;
    const only = this.#runs.length === 1 ? this.#runs[0] : undefined;
    const bytes = only ?? this.#join();
    this.#runs.length = 0;
    this.#bytes = 0;
    this.count = 0;
    return { bytes, count };
  }

  #join(): Uint8Array {
    let at = 0;
    for (const run of this.#runs) {
      scratch.set(run, at);
      at += run.length;
    }
    return scratch.subarray(0, at);
  }
}
