/**
 * What a ProduceBulk has come to so far: added up for its answer, or told with its failure.
 *
 * Never: appends.
 */
import type { Appended, CommitLog } from "../../types.ts";

export class BulkSummary {
  firstOffset = 0;
  records = 0;
  batches = 0;
  nextOffset = 0;

  add({ firstOffset, count }: Appended): void {
    if (this.batches === 0) this.firstOffset = firstOffset;
    this.batches++;
    this.records += count;
    this.nextOffset = firstOffset + count;
  }

  /** The summary, complete: of no batches at all it says where the log ends. */
  async done(log: Pick<CommitLog, "bounds">): Promise<this> {
    if (this.batches === 0) this.firstOffset = this.nextOffset = (await log.bounds()).next;
    return this;
  }

  /** What was appended in order so far. */
  get progress(): { readonly records_before: number; readonly batches_before: number } {
    return { records_before: this.records, batches_before: this.batches };
  }
}
