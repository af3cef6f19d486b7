/** Checks of an append that need no state of the log. */
import { Fault } from "../../fault.ts";
import { batchRecordsMax, runBytesMax, subjectBytesMax } from "../../log/mod.ts";
import type { AppendOptions, RecordRun } from "../../types.ts";

/** Room for the command of a stream, whose texts JSON may escape. */
const streamRoomBytes = 8 * 1024;

/**
 * Checks the size of a run and of its producer's subject. Only an append that closes its log may have no records.
 * @throws Fault "bad-request" for a run without records, "too-large" for one beyond the limits
 */
export function checkRun(
  run: RecordRun,
  { producer, stream, subject: caller }: Pick<AppendOptions, "producer" | "stream" | "subject">,
): void {
  const subject = producer?.subject ?? (stream === undefined ? undefined : caller);
  if (run.count === 0 && stream?.closes !== true)
    throw new Fault("bad-request", { message: "nothing to append" });
  const bytesMax = stream === undefined ? runBytesMax : runBytesMax - streamRoomBytes;
  if (run.bytes.length > bytesMax || run.count > batchRecordsMax) {
    throw new Fault("too-large", {
      message: `one append takes at most ${batchRecordsMax} records and ${bytesMax} bytes, this one has ${run.count} records and ${run.bytes.length} bytes`,
      facts: {
        records: run.count,
        bytes: run.bytes.length,
        recordsMax: batchRecordsMax,
        bytesMax,
      },
    });
  }
  if (subject !== undefined && Buffer.byteLength(subject) > subjectBytesMax) {
    throw new Fault("too-large", { message: `a producer's subject has at most ${subjectBytesMax} bytes` });
  }
}
