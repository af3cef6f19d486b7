/** Passes the call and its connection through Connect to the handlers. */
import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { assert } from "../../lib/assert.ts";
import type { MemoryShare } from "../../memory/mod.ts";
import type { RecordRun } from "../../types.ts";
import type { Exchange } from "../http/exchange/exchange.ts";
import type { Call, ClientConnection } from "./call-tracker.ts";

/** What belongs to one request on its way through Connect. Not used after the call. */
export interface RequestContext {
  readonly client: ClientConnection;
  readonly exchange: Exchange;
  /** Counts the response until it has been written. */
  readonly responseMemory: MemoryShare;
  /** Set when the call has begun, that is, when access was granted. */
  call: Call | undefined;
  /** A handler of ours ran. Errors before that are Connect's. */
  reached: boolean;
  /** What the handler threw, for the end of the call. */
  reason: unknown;
  /** The records that were taken out of the messages of the request, by message number (request-work.ts). */
  readonly taken: Map<number, RecordRun>;
}

export const requestContextKey = createContextKey<RequestContext | undefined>(undefined);

/** Returns the context of the request that a handler serves. */
export function requestContextOf(context: HandlerContext): RequestContext {
  const requestContext = context.values.get(requestContextKey);
  assert(requestContext !== undefined, "a handler runs within a request");
  return requestContext;
}

/** Returns the call that a handler serves. */
export function callOf(context: HandlerContext): Call {
  const call = context.values.get(requestContextKey)?.call;
  assert(call !== undefined, "a handler runs within a call");
  return call;
}

/** Returns the records that were taken out of the message with this number, once; undefined if there are none. */
export function takenRun(context: HandlerContext, message: number): RecordRun | undefined {
  const taken = context.values.get(requestContextKey)?.taken;
  const run = taken?.get(message);
  taken?.delete(message);
  return run;
}
