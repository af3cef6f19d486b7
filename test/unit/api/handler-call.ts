/** A call in progress, and the context with which Connect passes it to a handler. For tests of handlers without a server. */
import {
  type ConnectError,
  createContextValues,
  createHandlerContext,
  type HandlerContext,
} from "@connectrpc/connect";
import { namedIdentity } from "../../../src/access/mod.ts";
import { type RequestContext, requestContextKey } from "../../../src/api/calls/call-context.ts";
import { Call, type CallMeta } from "../../../src/api/calls/call-tracker.ts";
import { logPermissions } from "../../../src/api/calls/method-permissions.ts";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { noTelemetry } from "../../../src/lib/telemetry.ts";

export interface HandlerCall {
  readonly call: Call;
  readonly context: HandlerContext;
  /** Ends the request as a client does that disconnects. */
  readonly abort: (reason?: ConnectError) => void;
}

/** A call of the subject "ann". */
export function handlerCall(meta: Partial<CallMeta> = {}): HandlerCall {
  const { traceparent } = meta;
  const client = { identity: namedIdentity("ann"), peer: "p", secure: true };
  const { produce } = logPermissions;
  const start = { method: produce.name, protocol: "grpc", subject: "ann", peer: "p", traceparent } as const;
  const call = new Call(produce, client, { protocol: "grpc", ...meta }, noTelemetry.begin(start));
  const context = createHandlerContext({
    service: Log,
    method: Log.method.produce,
    protocolName: "grpc",
    requestMethod: "POST",
    url: "http://node/",
    contextValues: createContextValues().set(requestContextKey, { client, call } as RequestContext),
  });
  return { call, context, abort: (reason) => context.abort(reason) };
}
