/**
 * Runs that lie apart, put together as one: at most a batch's worth.
 *
 * Never: holds a run longer than until take(), whose answer is good until the next take().
 */
import type { RecordRun } from "../../types.ts";

/** As much as the log itself puts into one batch of coalesced appends. */
const groupBytesMax = 64 * 1024;
const groupRecordsMax = 1024;

/** One for all: a log copies what is appended before append() returns. */
const scratch = new Uint8Array(groupBytesMax);

export class RunGroup {
  count = 0;
  #bytes = 0;
  readonly #runs: Uint8Array[] = [];

  fits(run: RecordRun): boolean {
    return this.count + run.count <= groupRecordsMax && this.#bytes + run.bytes.length <= groupBytesMax;
  }

  /** Adds a run. One that does not fit may be added to an empty group only. */
  add(run: RecordRun): void {
    this.#runs.push(run.bytes);
    this.#bytes += run.bytes.length;
    this.count += run.count;
  }

  /** The runs as one, to be appended at once; the group is empty again. */
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
