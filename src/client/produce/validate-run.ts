/** Checks a run before the client sends it. The node checks the limits of its log itself. */
import { Fault } from "../../fault.ts";
import type { RecordRun } from "../../types.ts";
import { runBytesMax } from "../limits.ts";

/**
 * Checks the type of a run, which an application in JavaScript can get wrong, and that it fits into one message.
 * @throws Fault "bad-request" for a value that is not a run and for an empty one, "too-large" for one that does not fit
 */
export function validateRun(run: RecordRun): void {
  const { bytes, count }: Partial<RecordRun> = run ?? {};
  if (!(bytes instanceof Uint8Array) || !Number.isSafeInteger(count)) {
    throw new Fault("bad-request", {
      message: "a run must be { bytes, count }, as encodeRun() returns it",
      facts: { field: "records" },
    });
  }
  if (run.count === 0) {
    throw new Fault("bad-request", { message: "there are no records", facts: { field: "records" } });
  }
  checkSize(run);
}

/** Checks that a run fits into one message. @throws Fault "too-large" */
export function checkSize(run: RecordRun): void {
  const { length } = run.bytes;
  if (length <= runBytesMax) return;
  throw new Fault("too-large", {
    message: `${length} bytes of records are more than one append can take (${runBytesMax})`,
    facts: { limit: runBytesMax, found: length },
  });
}
