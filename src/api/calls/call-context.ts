/**
 * Hands the call, and what the listener knows of the caller, through Connect to the handlers.
 *
 * Never: outlives the call.
 */
import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { assert } from "../../lib/assert.ts";
import type { MemoryShare } from "../../memory/mod.ts";
import type { RecordRun } from "../../types.ts";
import type { Exchange } from "../http/exchange/exchange.ts";
import type { Call, ClientConnection } from "./call-tracker.ts";

/** What travels with one request through Connect. */
export interface RequestContext {
  readonly client: ClientConnection;
  readonly exchange: Exchange;
  /** What the answer takes until it has been written. */
  readonly answer: MemoryShare;
  /** Set once the call has begun, that is when access was granted. */
  call: Call | undefined;
  /** Our own code ran; until then every error is Connect's. */
  reached: boolean;
  /** What was thrown, for the end of the call. */
  reason: unknown;
  /** Records that were taken out of the request's messages (request-work.ts). */
  readonly taken: Map<number, RecordRun>;
}

export const requestContextKey = createContextKey<RequestContext | undefined>(undefined);

/** What travels with the request that a handler serves. */
export function requestContextOf(context: HandlerContext): RequestContext {
  const requestContext = context.values.get(requestContextKey);
  assert(requestContext !== undefined, "a handler runs within a request");
  return requestContext;
}

/** The call that a handler serves. */
export function callOf(context: HandlerContext): Call {
  const call = context.values.get(requestContextKey)?.call;
  assert(call !== undefined, "a handler runs within a call");
  return call;
}

/** The records that were taken out of the message of this number, if they were. They are given once. */
export function takenRun(context: HandlerContext, message: number): RecordRun | undefined {
  const taken = context.values.get(requestContextKey)?.taken;
  const run = taken?.get(message);
  taken?.delete(message);
  return run;
}
