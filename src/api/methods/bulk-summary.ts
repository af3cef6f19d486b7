/** Counts what a ProduceBulk has appended so far, for its response or for the facts of its failure. */
import type { Appended, CommitLog, LogId } from "../../types.ts";

export class BulkSummary {
  firstOffset = 0;
  records = 0;
  batches = 0;
  nextOffset = 0;
  /** Undefined: `default`, or several logs. */
  logId: LogId | undefined;
  #severalLogs = false;

  add({ firstOffset, count, logId }: Appended): void {
    if (this.batches === 0) {
      this.firstOffset = firstOffset;
      this.logId = logId;
    } else if (this.logId !== logId) this.#severalLogs = true;
    this.batches++;
    this.records += count;
    this.nextOffset = firstOffset + count;
    if (!this.#severalLogs) return;
    // An offset means nothing without its log.
    this.firstOffset = this.nextOffset = 0;
    this.logId = undefined;
  }

  /** Completes the summary. Without any batch, both offsets are the end of the log. */
  async done(log: Pick<CommitLog, "bounds">): Promise<this> {
    if (this.batches === 0) this.firstOffset = this.nextOffset = (await log.bounds()).next;
    return this;
  }

  /** What was appended so far, in order. */
  get progress(): { readonly records_before: number; readonly batches_before: number } {
    return { records_before: this.records, batches_before: this.batches };
  }
}
