/**
 * Serves one RPC with a handler of Connect. The call begins when the headers are there, before a message is read, and
 * ends when the response has been sent.
 */
import { Code, createContextValues, type HandlerContext } from "@connectrpc/connect";
import type {
  Compression,
  UniversalHandler,
  UniversalServerRequest,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { Fault } from "../../fault.ts";
import type { Protocol, Telemetry } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RecordLimits } from "../../log/mod.ts";
import { type MemoryBudget, type MemoryShare, stalledFault } from "../../memory/mod.ts";
import { type RequestContext, requestContextKey } from "../calls/call-context.ts";
import type { CallTracker, ClientConnection } from "../calls/call-tracker.ts";
import { codeName, codeOf, connectErrorOf } from "../calls/error-mapping.ts";
import { grpcTimeoutMs } from "../calls/grpc-timeout.ts";
import { permissionOfPath } from "../calls/method-permissions.ts";
import { traceRecordHeader } from "../calls/request-headers.ts";
import type { Exchange } from "../http/exchange/exchange.ts";
import { refuse, refuseRpc } from "../http/route-refusal.ts";
import { limitRequestBody } from "../request-limits/request-body-limits.ts";
import { limitRequestWork } from "../request-limits/request-work.ts";
import { completeConnectError, faultBeforeHandler } from "./connect-error-mapping.ts";
import { reencodeGrpcMessage } from "./grpc-message.ts";
import { binaryRequest, isGrpcWebText, textResponse } from "./grpc-web-text.ts";
import { universalRequest, writeUniversal } from "./universal-handlers.ts";

export interface RpcOptions {
  readonly calls: CallTracker;
  readonly clock: Clock;
  readonly telemetry: Pick<Telemetry, "begin" | "log">;
  readonly memory: MemoryBudget;
  /** Largest message that is accepted, in bytes. */
  readonly readMaxBytes: number;
  /** Largest message that is sent, in bytes. */
  readonly writeMaxBytes: number;
  readonly recordLimits: RecordLimits;
}

/** The encodings of messages that clients can use. */
export const compressions: readonly Compression[] = [compressionGzip, compressionBrotli];

/** The longest time of setTimeout. A client that asks for more gets no deadline. */
const timeoutMsMax = 2 ** 31 - 1;

/**
 * Begins the call of a request, before a message is read.
 * @throws ConnectError if access is denied
 */
export function beginCall(context: HandlerContext, { calls, clock }: RpcOptions): void {
  const requestContext = context.values.get(requestContextKey);
  const permission = permissionOfPath(`/${context.service.typeName}/${context.method.name}`);
  if (requestContext === undefined || permission === undefined)
    throw connectErrorOf(new Fault("unimplemented"));
  const timeoutMs = context.timeoutMs();
  const header = (name: string): string | undefined => context.requestHeader.get(name) ?? undefined;
  try {
    requestContext.call = calls.beginCall(permission, requestContext.client, {
      protocol: context.protocolName as Protocol,
      deadlineMs: timeoutMs === undefined ? undefined : clock.monotonicMs() + timeoutMs,
      traceparent: header("traceparent"),
      tracestate: header("tracestate"),
      requestId: header("x-request-id"),
      traceRecords: header(traceRecordHeader) === "yes",
    });
  } catch (reason) {
    throw connectErrorOf(reason);
  }
}

/** Serves a request. Resolves when the response has been sent or the client has disconnected. */
export async function serveRpc(
  handler: UniversalHandler,
  exchange: Exchange,
  client: ClientConnection,
  options: RpcOptions,
): Promise<void> {
  const { calls, memory } = options;
  const share = memory.share("in", () => exchange.failBody(stalledFault()));
  const requestContext: RequestContext = {
    client,
    exchange,
    responseMemory: memory.share("out", () => exchange.destroy()),
    call: undefined,
    reached: false,
    reason: undefined,
    taken: new Map(),
  };
  let code = "canceled";
  try {
    const request = universalRequest(exchange, createContextValues().set(requestContextKey, requestContext));
    code = await respond(handler, request, requestContext, share, options);
  } catch (reason) {
    failEarly(handler, requestContext, reason, options);
  } finally {
    share.hold(0);
    requestContext.responseMemory.hold(0);
    const { call, reason } = requestContext;
    if (call !== undefined) {
      if (reason !== undefined) calls.endCall(call, reason);
      else calls.endCallWithCode(call, code);
    }
  }
}

/** Runs the handler and sends its response. Returns the code of the outcome. */
async function respond(
  handler: UniversalHandler,
  request: UniversalServerRequest,
  requestContext: RequestContext,
  share: MemoryShare,
  { clock, readMaxBytes, recordLimits }: RpcOptions,
): Promise<string> {
  const { exchange, taken } = requestContext;
  removeEndlessTimeout(request.header);
  const isText = isGrpcWebText(request.header.get("content-type"));
  const binary = isText ? binaryRequest(request) : request;
  limitRequestBody(binary, handler.method.methodKind, {
    share,
    clock,
    deadlineMs: () => requestContext.call?.deadlineMs,
    messageBytesMax: readMaxBytes,
  });
  limitRequestWork(binary, {
    method: handler.method,
    taken,
    recordLimits,
    clock,
    messageBytesMax: readMaxBytes,
    compressions,
  });
  let response = await handler(binary);
  if (!requestContext.reached && response.body !== undefined) {
    response = await completeConnectError(response, binary.header.get("content-type"), compressions);
  }
  if (isText) response = textResponse(response);
  if (response.body === undefined && response.status >= 400) {
    refuseRpc(exchange, response.status, handler.allowedMethods);
    return codeName(response.status === 415 ? Code.Unknown : Code.InvalidArgument);
  }
  if (exchange.method === "GET") exchange.setHeader("cache-control", "no-store");
  if (response.trailer !== undefined) reencodeGrpcMessage(response.trailer);
  await writeUniversal(response, exchange, clock);
  return codeOfResponse(response);
}

/** Ends an exchange whose handler, or whose response, failed outside of the method's implementation. */
function failEarly(
  handler: UniversalHandler,
  requestContext: RequestContext,
  reason: unknown,
  { telemetry }: RpcOptions,
): void {
  const { exchange } = requestContext;
  requestContext.reason ??= reason;
  telemetry.log.debug({ err: reason, path: handler.requestPath }, "an RPC ended early");
  if (exchange.headersSent) exchange.destroy();
  else if (requestContext.reached) refuseRpc(exchange, 500);
  else {
    const fault = faultBeforeHandler(reason);
    requestContext.reason = fault;
    refuse(exchange, { fault, status: codeToHttpStatus(codeOf(fault)) });
  }
}

/** Returns the code of a response. It counts if Connect found an error before the handler ran. */
function codeOfResponse({ status, trailer }: UniversalServerResponse): string {
  const grpc = Number(trailer?.get("grpc-status") ?? 0);
  if (grpc !== 0) return codeName(grpc in Code ? (grpc as Code) : Code.Unknown);
  return status < 400 ? "ok" : status === 429 ? "resource_exhausted" : "invalid_argument";
}

function removeEndlessTimeout(header: Headers): void {
  if (grpcTimeoutMs(header.get("grpc-timeout") ?? "") > timeoutMsMax) header.delete("grpc-timeout");
  if (Number(header.get("connect-timeout-ms") ?? 0) > timeoutMsMax) header.delete("connect-timeout-ms");
}
