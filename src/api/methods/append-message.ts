/**
 * ProduceRequest and ProduceBatchRequest, decoded by protobuf-es, as the append they ask for.
 *
 * Never: appends.
 */
import { Fault } from "../../fault.ts";
import type { ProduceBatchRequest, ProduceRequest } from "../../gen/log/v1/log_pb.js";
import type { RecordLimits } from "../../log/mod.ts";
import type { RecordRun } from "../../types.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { AppendRequest } from "./append.ts";
import { numberOf, runOf, stampOf } from "./messages.ts";

/**
 * Throws Faults "bad-request", "bad-record" and "too-large". `taken`: the records, when they were taken out of the
 * message before it was decoded (request-work.ts).
 */
export function appendRequestOf(
  request: ProduceRequest | ProduceBatchRequest,
  subject: string,
  limits: RecordLimits,
  taken?: RecordRun,
): AppendRequest {
  const expected = request.expectedOffset;
  return {
    run: taken ?? runOf(recordsOf(request), limits),
    producer: stampOf(request.producer, subject),
    expectedOffset: expected === undefined ? undefined : numberOf(expected, "expected_offset"),
  };
}

function recordsOf(request: ProduceRequest | ProduceBatchRequest): ProduceBatchRequest["records"] {
  if ("records" in request) return request.records;
  if (request.record !== undefined) return [request.record];
  throw new Fault("bad-request", { message: "record is missing", facts: { field: "record" } });
}

/** Throws Fault "bad-request" unless there is a record. */
export function requireRecords(run: RecordRun): void {
  if (run.count > 0) return;
  throw new Fault("bad-request", { message: "there are no records", facts: { field: "records" } });
}

/** What a message that protobuf-es cannot decode comes to. */
export function undecodable(reason: unknown): Fault {
  return new Fault("bad-request", { message: "the message is not valid protobuf", cause: reason });
}
