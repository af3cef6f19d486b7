/** What an append asks for, whichever protocol it came by. */
import { Fault } from "../../fault.ts";
import type { StreamHead } from "../../lib/stream-head.ts";
import type { LogRef, ProducerStamp, RecordRun } from "../../types.ts";

export interface AppendRequest {
  readonly run: RecordRun;
  /** Undefined: `default`. */
  readonly log?: LogRef | undefined;
  readonly producer?: ProducerStamp | undefined;
  readonly stream?: StreamHead | undefined;
  readonly expectedOffset?: number | undefined;
}

/** @throws Fault "bad-request" if the run is empty */
export function requireRecords(run: RecordRun): void {
  if (run.count > 0) return;
  throw new Fault("bad-request", { message: "there are no records", facts: { field: "records" } });
}
