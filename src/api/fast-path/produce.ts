/** Produce and ProduceBatch: one request message, one append, one response message. */
import { fromBinary } from "@bufbuild/protobuf";
import { Log, ProduceBatchRequestSchema, ProduceRequestSchema } from "../../gen/log/v1/log_pb.js";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { Appended } from "../../types.ts";
import { appendTo } from "../methods/append.ts";
import { appendRequestOf, undecodable } from "../methods/append-message.ts";
import { type AppendRequest, requireRecords } from "../methods/append-request.ts";
import { checkFields, uncheckedBytesMax } from "../request-limits/message-limits.ts";
import { rewriteAppend } from "./codec/json-append.ts";
import { JsonMessages } from "./codec/json-message.ts";
import { AppendRequestReader } from "./codec/request-codec.ts";
import {
  ackBytesMax,
  logIdField,
  logIdTags,
  noField,
  produceBatchResponse,
  writeProduceResponse,
} from "./codec/response-codec.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { receiveUnary } from "./unary-message.ts";

/** How many records a request of the method holds, and the schema for messages that AppendRequestReader does not read. */
export interface AppendMethod {
  readonly recordsMin: number;
  readonly recordsMax: number;
  readonly schema: typeof ProduceRequestSchema | typeof ProduceBatchRequestSchema;
}

/** A method with one request and one response, in protobuf or JSON. */
interface UnaryAppend extends AppendMethod {
  readonly isBatch: boolean;
  readonly json: JsonMessages<typeof Log.method.produce> | JsonMessages<typeof Log.method.produceBatch>;
  /** The response in its envelope. */
  readonly binary: (context: FastPathContext, appended: Appended) => Uint8Array;
  /** The response in JSON, without the id of a named log and its closing brace. */
  readonly text: (appended: Appended) => string;
}

export const oneRecord: AppendMethod = { recordsMin: 1, recordsMax: 1, schema: ProduceRequestSchema };
export const manyRecords: AppendMethod = {
  recordsMin: 1,
  recordsMax: Number.MAX_SAFE_INTEGER,
  schema: ProduceBatchRequestSchema,
};

const produceMethod: UnaryAppend = {
  ...oneRecord,
  isBatch: false,
  json: new JsonMessages(Log.method.produce),
  binary(context, appended) {
    const { firstOffset, timestampMs, duplicate } = appended;
    const bytes = Buffer.allocUnsafe(ackBytesMax);
    const id = ackFields(context, logIdTags.produce, appended);
    return bytes.subarray(0, writeProduceResponse(bytes, 0, firstOffset, timestampMs, duplicate, id));
  },
  text: ({ firstOffset, timestampMs, duplicate }) =>
    `{"offset":"${firstOffset}","timestampMs":"${timestampMs}","duplicate":${duplicate}`,
};

const produceBatchMethod: UnaryAppend = {
  ...manyRecords,
  isBatch: true,
  json: new JsonMessages(Log.method.produceBatch),
  binary: (context, appended) =>
    produceBatchResponse(appended, ackFields(context, logIdTags.produceBatch, appended)),
  text: ({ firstOffset, count, timestampMs, duplicate }) =>
    `{"firstOffset":"${firstOffset}","count":${count},"timestampMs":"${timestampMs}","duplicate":${duplicate}`,
};

export const produce: ServeMethod = (context, call, forward) =>
  serveUnary(context, call, forward, produceMethod);

export const produceBatch: ServeMethod = (context, call, forward) =>
  serveUnary(context, call, forward, produceBatchMethod);

/** The id of a named log and the token of what was appended, encoded. */
export function ackFields(
  { logs }: FastPathContext,
  tag: number,
  { firstOffset, count, logId }: Pick<Appended, "firstOffset" | "count" | "logId">,
): Uint8Array {
  if (logId === undefined) return noField;
  return logIdField(tag, logs.idText(logId), logs.tokenOf(logId, firstOffset + count));
}

function serveUnary(context: FastPathContext, call: FastCall, forward: boolean, method: UnaryAppend): void {
  const append = (request: AppendRequest): Promise<void> =>
    startAppend(context, call, request, forward).then((appended) => {
      if (call.request.isJson) call.finishBare(Buffer.from(ackText(context, method, appended)));
      else call.finish(method.binary(context, appended));
    });
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    const work = call.request.isJson
      ? appendJson(context, call, method, bytes.subarray(start, end), append)
      : append(readOneAppend(context, call, method, bytes, start, end));
    work.catch(call.failInTurn);
  });
}

function readOneAppend(
  context: FastPathContext,
  call: FastCall,
  method: AppendMethod,
  bytes: Uint8Array,
  start: number,
  end: number,
): AppendRequest {
  const reader = new AppendRequestReader(context.recordLimits, call.tracked.subject);
  return readAppend(context, call, method, reader, bytes, start, end);
}

/** Reads a message in JSON and appends it. A large one waits until the event loop has time for it. */
async function appendJson(
  context: FastPathContext,
  call: FastCall,
  method: UnaryAppend,
  text: Uint8Array,
  append: (request: AppendRequest) => Promise<void>,
): Promise<void> {
  if (text.length > uncheckedBytesMax) {
    await workTurns(context.clock).next();
    if (call.over) return;
  }
  const message = rewriteAppend(text, method.isBatch, context.recordLimits.recordsMax);
  if (message !== undefined) {
    await append(readOneAppend(context, call, method, message, 0, message.length));
    return;
  }
  const { request, taken } = await method.json.read(context, text);
  if (call.over) return;
  const log = context.logs.refFor(call.tracked, request);
  await append(appendRequestOf(request, call.tracked.subject, context.recordLimits, log, taken));
}

/** The response in JSON. */
function ackText({ logs }: FastPathContext, { text }: UnaryAppend, appended: Appended): string {
  const { firstOffset, count, logId } = appended;
  if (logId === undefined) return `${text(appended)}}`;
  const token = logs.tokenOf(logId, firstOffset + count);
  const tokenMember = token === undefined ? "" : `,"token":${JSON.stringify(token)}`;
  return `${text(appended)},"logId":${JSON.stringify(logs.idText(logId))}${tokenMember}}`;
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
