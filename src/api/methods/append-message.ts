/** Converts ProduceRequest and ProduceBatchRequest, decoded by protobuf-es, to an AppendRequest. */
import { Fault } from "../../fault.ts";
import type { ProduceBatchRequest, ProduceRequest } from "../../gen/log/v1/log_pb.js";
import type { RecordLimits } from "../../log/mod.ts";
import type { LogRef, RecordRun } from "../../types.ts";
import type { AppendRequest } from "./append-request.ts";
import { numberOf, runOf, stampOf } from "./messages.ts";

/**
 * @param subject the owner of the request's producer id
 * @param log the log that the request names
 * @param taken the records, if they were taken out of the message before it was decoded (request-work.ts)
 * @throws Fault "bad-request", "bad-record", "too-large"
 */
export function appendRequestOf(
  request: ProduceRequest | ProduceBatchRequest,
  subject: string,
  limits: RecordLimits,
  log: LogRef | undefined,
  taken?: RecordRun,
): AppendRequest {
  const expected = request.expectedOffset;
  return {
    run: taken ?? runOf(recordsOf(request), limits),
    log,
    producer: stampOf(request.producer, subject),
    expectedOffset: expected === undefined ? undefined : numberOf(expected, "expected_offset"),
  };
}

function recordsOf(request: ProduceRequest | ProduceBatchRequest): ProduceBatchRequest["records"] {
  if ("records" in request) return request.records;
  if (request.record !== undefined) return [request.record];
  throw new Fault("bad-request", { message: "record is missing", facts: { field: "record" } });
}

/** The fault for a message that protobuf-es cannot decode. */
export function undecodable(reason: unknown): Fault {
  return new Fault("bad-request", { message: "the message is not valid protobuf", cause: reason });
}
