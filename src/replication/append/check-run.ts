/** Checks of an append that need no state of the log. */
import { Fault } from "../../fault.ts";
import { batchRecordsMax, runBytesMax, subjectBytesMax } from "../../log/mod.ts";
import type { RecordRun } from "../../types.ts";

/**
 * Checks the size of a run and of its producer's subject.
 * @throws Fault "bad-request" for a run without records, "too-large" for one beyond the limits
 */
export function checkRun(run: RecordRun, subject: string | undefined): void {
  if (run.count === 0) throw new Fault("bad-request", { message: "nothing to append" });
  if (run.bytes.length > runBytesMax || run.count > batchRecordsMax) {
    throw new Fault("too-large", {
      message: `one append takes at most ${batchRecordsMax} records and ${runBytesMax} bytes, this one has ${run.count} records and ${run.bytes.length} bytes`,
      facts: {
        records: run.count,
        bytes: run.bytes.length,
        recordsMax: batchRecordsMax,
        bytesMax: runBytesMax,
      },
    });
  }
  if (subject !== undefined && Buffer.byteLength(subject) > subjectBytesMax) {
    throw new Fault("too-large", { message: `a producer's subject has at most ${subjectBytesMax} bytes` });
  }
}
