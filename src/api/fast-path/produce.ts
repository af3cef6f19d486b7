/** Produce and ProduceBatch: one request message, one append, one response message. */
import { fromBinary } from "@bufbuild/protobuf";
import { ProduceBatchRequestSchema, ProduceRequestSchema } from "../../gen/log/v1/log_pb.js";
import type { Appended } from "../../types.ts";
import { appendTo } from "../methods/append.ts";
import { appendRequestOf, undecodable } from "../methods/append-message.ts";
import { type AppendRequest, requireRecords } from "../methods/append-request.ts";
import { checkFields } from "../request-limits/message-limits.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { AppendRequestReader } from "./request-codec.ts";
import {
  ackBytesMax,
  logIdField,
  logIdTags,
  noField,
  produceBatchResponse,
  writeProduceResponse,
} from "./response-codec.ts";
import { receiveUnary } from "./unary-message.ts";

/** How many records a request of the method holds, and the schema for messages that AppendRequestReader does not read. */
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

export const produce: ServeMethod = (context, call, forward) => {
  serveUnary(context, call, forward, oneRecord, (appended) => {
    const { firstOffset, timestampMs, duplicate } = appended;
    const bytes = Buffer.allocUnsafe(ackBytesMax);
    const id = ackFields(context, logIdTags.produce, appended);
    return bytes.subarray(0, writeProduceResponse(bytes, 0, firstOffset, timestampMs, duplicate, id));
  });
};

export const produceBatch: ServeMethod = (context, call, forward) => {
  serveUnary(context, call, forward, manyRecords, (appended) =>
    produceBatchResponse(appended, ackFields(context, logIdTags.produceBatch, appended)),
  );
};

/** The id of a named log and the token of what was appended, encoded. */
export function ackFields(
  { logs }: FastPathContext,
  tag: number,
  { firstOffset, count, logId }: Pick<Appended, "firstOffset" | "count" | "logId">,
): Uint8Array {
  if (logId === undefined) return noField;
  return logIdField(tag, logs.idText(logId), logs.tokenOf(logId, firstOffset + count));
}

function serveUnary(
  context: FastPathContext,
  call: FastCall,
  forward: boolean,
  method: AppendMethod,
  encode: (appended: Appended) => Uint8Array,
): void {
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    const reader = new AppendRequestReader(context.recordLimits, call.tracked.subject);
    const request = readAppend(context, call, method, reader, bytes, start, end);
    startAppend(context, call, request, forward)
      .then((appended) => call.finish(encode(appended)))
      .catch((reason: unknown) => call.fail(reason));
  });
}

/**
 * Reads the message in `bytes[start … end)` and finds its log.
 * @throws Fault, as decodeUnusual()
 */
export function readAppend(
  context: FastPathContext,
  call: FastCall,
  method: AppendMethod,
  reader: AppendRequestReader,
  bytes: Uint8Array,
  start: number,
  end: number,
): AppendRequest {
  const { recordsMin, recordsMax } = method;
  if (!reader.read(bytes, start, end, recordsMin, recordsMax)) {
    return decodeUnusual(context, call, method, bytes.subarray(start, end));
  }
  reader.log = context.logs.refFor(call.tracked, reader.named);
  return reader;
}

/** Starts an append of this call and counts it. The outcome of the call is unknown until the append settles. */
export async function startAppend(
  context: FastPathContext,
  call: FastCall,
  request: AppendRequest,
  forward: boolean,
): Promise<Appended> {
  requireRecords(request.run);
  call.written = "unknown";
  return appendTo(context, call.tracked, request, forward);
}

/**
 * Decodes a message that AppendRequestReader does not read, with protobuf-es.
 * @throws Fault "bad-request", "permission-denied", "bad-record", "too-large", as Connect's handlers do
 */
export function decodeUnusual(
  context: FastPathContext,
  call: FastCall,
  method: AppendMethod,
  message: Uint8Array,
): AppendRequest {
  checkFields(method.schema, message);
  let request: ReturnType<typeof decode>;
  try {
    request = decode(method, message);
  } catch (reason) {
    throw undecodable(reason);
  }
  const log = context.logs.refFor(call.tracked, request);
  return appendRequestOf(request, call.tracked.subject, context.recordLimits, log);
}

const decode = (method: AppendMethod, message: Uint8Array) => fromBinary(method.schema, message);
