/**
 * Wraps the implementation of a method for Connect: a call that was revoked while its request was read, or whose deadline
 * has passed, does not start, and what the implementation throws becomes a ConnectError with details.
 */
import type { HandlerContext } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { faultOfAbort } from "../calls/abort.ts";
import { callOf, requestContextKey } from "../calls/call-context.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";
import { faultOfConnectError } from "./connect-error-mapping.ts";

/** An implementation of a method of any kind. */
export type AnyMethod = (input: unknown, context: HandlerContext) => unknown;

/** The implementation of a method that this node does not serve. */
export const unimplemented =
  (name: string): AnyMethod =>
  () => {
    throw new Fault("unimplemented", { message: `${name} is not served by this node` });
  };

/** Wraps a method with one response. */
export function guarded(work: AnyMethod) {
  return async (input: unknown, context: HandlerContext): Promise<unknown> => {
    markReached(context);
    try {
      requireBegin(context);
      return await work(input, context);
    } catch (reason) {
      throw errorFor(context, reason);
    }
  };
}

/** Wraps a method with a stream of responses. */
export function guardedStream(work: AnyMethod) {
  return async function* (input: unknown, context: HandlerContext): AsyncGenerator<unknown> {
    markReached(context);
    try {
      requireBegin(context);
      yield* work(input, context) as AsyncIterable<unknown>;
    } catch (reason) {
      throw errorFor(context, reason);
    }
  };
}

/** @throws Fault if the call may not begin its work */
function requireBegin(context: HandlerContext): void {
  callOf(context).requireAllowed();
  if (context.signal.aborted) throw faultOfAbort(context.signal);
}

function markReached(context: HandlerContext): void {
  const requestContext = context.values.get(requestContextKey);
  if (requestContext !== undefined) requestContext.reached = true;
}

/** Returns the error to send, and keeps what was thrown for the end of the call. */
function errorFor(context: HandlerContext, thrown: unknown): unknown {
  const requestContext = context.values.get(requestContextKey);
  const reason = faultOfConnectError(thrown);
  if (requestContext !== undefined) requestContext.reason = reason;
  return connectErrorOf(reason);
}
