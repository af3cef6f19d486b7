/**
 * The RPCs on Connect: gRPC, gRPC-Web and Connect for every method, over an Exchange of either version of HTTP. A call
 * begins when the headers are there, before a message is read, and ends when the response is out.
 *
 * Answers that Connect leaves empty (no such method, wrong verb, wrong type) get a sentence that curl can show.
 */
import type { DescService } from "@bufbuild/protobuf";
import {
  Code,
  type ConnectRouter,
  createConnectRouter,
  createContextValues,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import type { Compression, UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { Fault } from "../../fault.ts";
import type { Protocol, Telemetry } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RecordLimits } from "../../log/mod.ts";
import { type MemoryBudget, stalledFault } from "../../memory/mod.ts";
import { callOf, type RequestContext, requestContextKey } from "../calls/call-context.ts";
import type { CallTracker, ClientConnection } from "../calls/call-tracker.ts";
import { codeName, codeOf, connectErrorOf } from "../calls/error-mapping.ts";
import { permissionOfPath } from "../calls/method-permissions.ts";
import { traceRecordHeader } from "../calls/request-headers.ts";
import { type Exchange, pathOf } from "../http/exchange.ts";
import { refuse, refuseRpc } from "../http/route-refusal.ts";
import { recordUnroutedRequest } from "../http/unrouted-requests.ts";
import { limitRequestBody } from "../request-limits/request-body-limits.ts";
import { limitRequestWork, type TakenRuns } from "../request-limits/request-work.ts";
import { completeConnectError, faultBeforeHandler, faultOfConnectError } from "./connect-error-mapping.ts";
import { reencodeGrpcMessage } from "./grpc-message.ts";
import { binaryRequest, isGrpcWebText, textResponse } from "./grpc-web-text.ts";
import { jsonOptions } from "./json-options.ts";
import { universalRequest, writeUniversal } from "./universal-handlers.ts";

export interface RpcOptions {
  readonly calls: CallTracker;
  readonly clock: Clock;
  readonly telemetry: Pick<Telemetry, "begin" | "log">;
  readonly memory: MemoryBudget;
  /** Largest message taken and sent, bytes. */
  readonly readMaxBytes: number;
  readonly writeMaxBytes: number;
  readonly recordLimits: RecordLimits;
}

/** One service and what serves it. */
export interface RpcService {
  readonly service: DescService;
  readonly implementation: Readonly<Record<string, unknown>>;
}

export const rpcService = <T extends DescService>(
  service: T,
  implementation: Partial<ServiceImpl<T>>,
): RpcService => ({
  service,
  implementation,
});

const compressions = [compressionGzip, compressionBrotli];

/** A message in a URL: as much as the URL itself may hold. */
const queryBytesMax = 16 * 1024;
/**
 * Connect itself decompresses the message of a GET and nothing else, since limitRequestWork() does it for all bodies. A few
 * bytes in a URL must not become a message that takes long to parse.
 */
const queryCompressions = compressions.map(
  (compression): Compression => ({
    ...compression,
    decompress: (bytes, bytesMax) => compression.decompress(bytes, Math.min(bytesMax, queryBytesMax)),
  }),
);

/** setTimeout's most; a caller that asks for longer gets no deadline at all. */
const timeoutMsMax = 2 ** 31 - 1;

/** Serves a request whose path names one of our services; undefined for every other path. */
export type RpcHandler = (exchange: Exchange, caller: ClientConnection) => Promise<void> | undefined;

export function rpcHandler(services: readonly RpcService[], options: RpcOptions): RpcHandler {
  const router = createConnectRouter({
    acceptCompression: queryCompressions,
    readMaxBytes: options.readMaxBytes,
    writeMaxBytes: options.writeMaxBytes,
    jsonOptions,
    requestGate: (context) => beginCall(context, options),
  });
  for (const one of services) route(router, one);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const prefixes = new Set(services.map(({ service }) => `/${service.typeName}`));
  return (exchange, caller) => {
    const path = pathOf(exchange);
    const handler = handlers.get(path);
    if (handler !== undefined) return serve(handler, exchange, caller, options);
    if (!prefixes.has(path.slice(0, path.lastIndexOf("/")))) return undefined;
    recordUnroutedRequest(options.telemetry.begin, exchange, caller, "unimplemented");
    refuseRpc(exchange, 404);
    return Promise.resolve();
  };
}

/** Registers every method, wrapped; those without an implementation say so. */
function route(router: ConnectRouter, { service, implementation }: RpcService): void {
  const wrapped: Record<string, unknown> = {};
  for (const method of service.methods) {
    const found = implementation[method.localName] as AnyMethod | undefined;
    const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    const work = found === undefined ? notHere(method.name) : found.bind(implementation);
    wrapped[method.localName] = streams ? guardedStream(work) : guarded(work);
  }
  router.service(service, wrapped as Partial<ServiceImpl<DescService>>);
}

type AnyMethod = (input: unknown, context: HandlerContext) => unknown;

const notHere =
  (name: string): AnyMethod =>
  () => {
    throw new Fault("unimplemented", { message: `${name} is not served by this node` });
  };

function guarded(work: AnyMethod) {
  return async (input: unknown, context: HandlerContext): Promise<unknown> => {
    reached(context);
    try {
      callOf(context).requireAllowed();
      return await work(input, context);
    } catch (reason) {
      throw noted(context, reason);
    }
  };
}

function guardedStream(work: AnyMethod) {
  return async function* (input: unknown, context: HandlerContext): AsyncGenerator<unknown> {
    reached(context);
    try {
      callOf(context).requireAllowed();
      yield* work(input, context) as AsyncIterable<unknown>;
    } catch (reason) {
      throw noted(context, reason);
    }
  };
}

function reached(context: HandlerContext): void {
  const requestContext = context.values.get(requestContextKey);
  if (requestContext !== undefined) requestContext.reached = true;
}

/** The error to send; what was thrown is kept for the end of the call. */
function noted(context: HandlerContext, thrown: unknown): unknown {
  const requestContext = context.values.get(requestContextKey);
  const reason = faultOfConnectError(thrown);
  if (requestContext !== undefined) requestContext.reason = reason;
  return connectErrorOf(reason);
}

function beginCall(context: HandlerContext, { calls, clock }: RpcOptions): void {
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

async function serve(
  handler: UniversalHandler,
  exchange: Exchange,
  caller: ClientConnection,
  { calls, telemetry, memory, clock, readMaxBytes, recordLimits }: RpcOptions,
): Promise<void> {
  const taken: TakenRuns = new Map();
  const share = memory.share("in", () => exchange.failBody(stalledFault()));
  const requestContext: RequestContext = {
    client: caller,
    exchange,
    answer: memory.share("out", () => exchange.destroy()),
    call: undefined,
    reached: false,
    reason: undefined,
    taken,
  };
  let code = "canceled";
  try {
    const asked = universalRequest(exchange, createContextValues().set(requestContextKey, requestContext));
    dropEndlessTimeout(asked.header);
    const text = isGrpcWebText(asked.header.get("content-type"));
    const binary = text ? binaryRequest(asked) : asked;
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
    let answer = await handler(binary);
    if (!requestContext.reached && answer.body !== undefined) {
      answer = await completeConnectError(answer, binary.header.get("content-type"), compressions);
    }
    if (text) answer = textResponse(answer);
    if (answer.body === undefined && answer.status >= 400) {
      refuseRpc(exchange, answer.status, handler.allowedMethods);
      code = codeName(answer.status === 415 ? Code.Unknown : Code.InvalidArgument);
      return;
    }
    if (exchange.method === "GET") exchange.setHeader("cache-control", "no-store");
    if (answer.trailer !== undefined) reencodeGrpcMessage(answer.trailer);
    await writeUniversal(answer, exchange, clock);
    code = codeOfResponse(answer);
  } catch (reason) {
    requestContext.reason ??= reason;
    telemetry.log.debug({ err: reason, path: handler.requestPath }, "an RPC ended early");
    if (exchange.headersSent) exchange.destroy();
    else if (requestContext.reached) refuseRpc(exchange, 500);
    else {
      const fault = faultBeforeHandler(reason);
      requestContext.reason = fault;
      refuse(exchange, { fault, status: codeToHttpStatus(codeOf(fault)) });
    }
  } finally {
    share.hold(0);
    requestContext.answer.hold(0);
    if (requestContext.call !== undefined) {
      if (requestContext.reason !== undefined) calls.endCall(requestContext.call, requestContext.reason);
      else calls.endCallWithCode(requestContext.call, code);
    }
  }
}

/** How a response ended, for errors that Connect found before our code ran. */
function codeOfResponse({ status, trailer }: UniversalServerResponse): string {
  const grpc = Number(trailer?.get("grpc-status") ?? 0);
  if (grpc !== 0) return codeName(grpc in Code ? (grpc as Code) : Code.Unknown);
  return status < 400 ? "ok" : status === 429 ? "resource_exhausted" : "invalid_argument";
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** A timer cannot run for months: longer timeouts are none. */
function dropEndlessTimeout(header: Headers): void {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  if (digits !== undefined && Number(digits) * (unitMs[unit!] ?? 0) > timeoutMsMax)
    header.delete("grpc-timeout");
  if (Number(header.get("connect-timeout-ms") ?? 0) > timeoutMsMax) header.delete("connect-timeout-ms");
}
