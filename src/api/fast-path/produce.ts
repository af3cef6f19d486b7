/**
 * Produce and ProduceBatch: one message in, one append, one message out.
 *
 * Never: makes an object of a record, unless the message is unusual.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ProduceBatchRequestSchema, ProduceRequestSchema } from "../../gen/log/v1/log_pb.js";
import type { Appended } from "../../types.ts";
import { type AppendRequest as Append, appendTo } from "../methods/append.ts";
import { appendRequestOf, requireRecords, undecodable } from "../methods/append-message.ts";
import { checkFields } from "../request-limits/message-limits.ts";
import type { ExpressCall } from "./fast-call.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Lane, Serve } from "./fast-path.ts";
import { AppendRequest } from "./request-codec.ts";
import { ackBytesMax, produceBatchResponse, writeProduceResponse } from "./response-codec.ts";
import { readUnary } from "./unary-body.ts";

/** How many records a method takes, and what stands for the messages the codec does not know. */
export interface AppendMethod {
  readonly recordsMin: number;
  readonly recordsMax: number;
  readonly schema: typeof ProduceRequestSchema | typeof ProduceBatchRequestSchema;
}

export const oneRecord: AppendMethod = { recordsMin: 1, recordsMax: 1, schema: ProduceRequestSchema };
export const manyRecords: AppendMethod = {
  recordsMin: 1,
  recordsMax: Number.MAX_SAFE_INTEGER,
  schema: ProduceBatchRequestSchema,
};

export const produce: Serve = (lane, express, forward) => {
  serve(lane, express, forward, oneRecord, ({ firstOffset, timestampMs, duplicate }) => {
    const bytes = Buffer.allocUnsafe(ackBytesMax);
    return bytes.subarray(0, writeProduceResponse(bytes, 0, firstOffset, timestampMs, duplicate));
  });
};

export const produceBatch: Serve = (lane, express, forward) => {
  serve(lane, express, forward, manyRecords, produceBatchResponse);
};

function serve(
  lane: Lane,
  express: ExpressCall,
  forward: boolean,
  method: AppendMethod,
  encode: (appended: Appended) => Uint8Array,
): void {
  readUnary(express, lane.requestBytesMax, (bytes, start, end) => {
    const request = new AppendRequest(lane.recordLimits, express.call.subject);
    const usual = request.read(bytes, start, end, method.recordsMin, method.recordsMax);
    const append = usual ? request : readSlowly(lane, express, method, bytes.subarray(start, end));
    startAppend(lane, express, append, forward)
      .then((appended) => express.finish(encode(appended)))
      .catch((reason: unknown) => express.fail(reason));
  });
}

/** Begins an append of this call and counts it. Until it settles, the outcome of the call is unknown. */
export async function startAppend(
  lane: Lane,
  express: ExpressCall,
  request: Append,
  forward: boolean,
): Promise<Appended> {
  requireRecords(request.run);
  express.written = "unknown";
  return appendTo(lane, express.call, request, forward);
}

/** The complete way through protobuf-es. Throws the Faults of the reference lane, and those of checkFields. */
export function readSlowly(
  lane: Lane,
  express: ExpressCall,
  method: AppendMethod,
  message: Uint8Array,
): Append {
  checkFields(method.schema, message);
  let request: ReturnType<typeof decode>;
  try {
    request = decode(method, message);
  } catch (reason) {
    throw undecodable(reason);
  }
  return appendRequestOf(request, express.call.subject, lane.recordLimits);
}

const decode = (method: AppendMethod, message: Uint8Array) => fromBinary(method.schema, message);
