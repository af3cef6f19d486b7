/**
 * The fast path serves the RPCs that carry records, CreateLog, Backup and `POST /`, directly on a stream of HTTP/2 or a request of
 * HTTP/1.1, with codecs written by hand. It returns false for a request that it does not serve; Connect's handlers then serve it on the same listener.
 * Those handlers are the reference: a client sees no difference but speed, compression and the time at which headers
 * arrive (test/wire/api/fast-path-*).
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { Call, ClientConnection } from "../calls/call-tracker.ts";
import {
  clusterPermissions,
  cursorsPermissions,
  logPermissions,
  logsPermissions,
  type MethodPermission,
  postPermission,
} from "../calls/method-permissions.ts";
import { forwardHeader, traceRecordHeader } from "../calls/request-headers.ts";
import { httpDate } from "../http/http-date.ts";
import { pacerOf } from "../methods/tails/pacer.ts";
import { serveBackup } from "./backup.ts";
import { BufferPool } from "./buffer-pool.ts";
import { consume } from "./consume.ts";
import { FastCall } from "./fast-call.ts";
import type { FastPathContext, FastPathOptions, ServeMethod } from "./fast-path-context.ts";
import type { FastStream } from "./fast-stream.ts";
import { httpProduce, recognizeHttpProduce } from "./http-produce.ts";
import { serveCommitCursor, serveCreateLog } from "./log-changes.ts";
import { produce, produceBatch } from "./produce.ts";
import { produceBulk } from "./produce-bulk.ts";
import { produceStream } from "./produce-stream.ts";
import { type FastRequest, type MethodShape, recognizeRequest } from "./recognize.ts";
import { OriginHeads, type ResponseHeads } from "./response-head.ts";
import { ResponseWriter } from "./response-writer.ts";
import { consumeBatches, consumeStream } from "./tails/consume-stream.ts";
import { serveTailLogs } from "./tails/tail-logs.ts";

/** Longest delay of setTimeout, in milliseconds. Connect serves requests with a longer timeout. */
const timeoutMsMax = 2 ** 31 - 1;

interface FastMethod {
  readonly permission: MethodPermission;
  readonly shape: MethodShape;
  readonly serve: ServeMethod;
}

const unary: MethodShape = { requestStream: false, responseStream: false };
const clientStream: MethodShape = { requestStream: true, responseStream: false };
const serverStream: MethodShape = { requestStream: false, responseStream: true };
const bothStreams: MethodShape = { requestStream: true, responseStream: true };

const methods: readonly FastMethod[] = [
  { permission: logPermissions.produce, shape: unary, serve: produce },
  { permission: logPermissions.produceBatch, shape: unary, serve: produceBatch },
  { permission: logPermissions.produceStream, shape: bothStreams, serve: produceStream },
  { permission: logPermissions.produceBulk, shape: clientStream, serve: produceBulk },
  { permission: logPermissions.consume, shape: unary, serve: consume },
  { permission: logPermissions.consumeStream, shape: serverStream, serve: consumeStream },
  { permission: logPermissions.consumeBatches, shape: serverStream, serve: consumeBatches },
  { permission: logsPermissions.createLog, shape: unary, serve: serveCreateLog },
  { permission: cursorsPermissions.commit, shape: unary, serve: serveCommitCursor },
  { permission: logsPermissions.tailLogs, shape: serverStream, serve: serveTailLogs },
  { permission: clusterPermissions.backup, shape: serverStream, serve: serveBackup },
];
const methodByPath = new Map(methods.map((method) => [`/${method.permission.name}`, method]));

const httpMethod: FastMethod = { permission: postPermission, shape: unary, serve: httpProduce };

/** Serves a stream and returns true, or returns false and leaves the stream untouched. */
export type FastPath = (
  stream: FastStream,
  headers: IncomingHttpHeaders,
  client: ClientConnection,
) => boolean;

export function createFastPath(options: FastPathOptions): FastPath {
  const context: FastPathContext = {
    ...options,
    pacer: pacerOf(options.clock),
    buffers: new BufferPool(),
    heads: new OriginHeads(options.origins, httpDate(options.clock)),
  };
  return (stream, headers, client) => {
    const path = headers[":path"] ?? "";
    const method = path === "/" ? httpMethod : methodByPath.get(path);
    if (method === undefined || (method.serve === serveBackup && context.backup === undefined)) return false;
    const request =
      method === httpMethod
        ? recognizeHttpProduce(headers, client, context)
        : recognizeRequest(headers, method.shape, timeoutMsMax);
    if (request === undefined || (stream.isHttp1 === true && needsHttp2(request, method))) return false;
    const heads = context.heads.of(headers, client);
    if (heads === undefined) return false;
    const call = beginCall(context, method.permission, stream, headers, client, request, heads);
    if (call !== undefined) method.serve(context, call, headers[forwardHeader] !== "no");
    return true;
  };
}

/** gRPC needs trailers, and a client of HTTP/1.1 reads no response before it has sent its request. */
const needsHttp2 = ({ framing }: FastRequest, { shape }: FastMethod): boolean =>
  framing === "grpc" || shape.requestStream;

/** Begins the call. Responds with the error and returns undefined if the call tracker refuses it or its time is over. */
function beginCall(
  context: FastPathContext,
  permission: MethodPermission,
  stream: FastStream,
  headers: IncomingHttpHeaders,
  client: ClientConnection,
  request: FastRequest,
  heads: ResponseHeads,
): FastCall | undefined {
  const { clock, calls, memory } = context;
  const { timeoutMs } = request;
  let tracked: Call;
  try {
    tracked = calls.beginCall(permission, client, {
      protocol: request.protocol,
      deadlineMs: timeoutMs === undefined ? undefined : clock.monotonicMs() + timeoutMs,
      traceparent: single(headers["traceparent"]),
      tracestate: single(headers["tracestate"]),
      requestId: single(headers["x-request-id"]),
      traceRecords: headers[traceRecordHeader] === "yes",
    });
  } catch (reason) {
    new ResponseWriter(stream, request, heads).fail(reason);
    return undefined;
  }
  const call = new FastCall(stream, request, heads, tracked, calls, memory, clock);
  return call.over ? undefined : call;
}

const single = (value: string | string[] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;
