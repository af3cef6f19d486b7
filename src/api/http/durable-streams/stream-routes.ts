/**
 * The routes of the Durable Streams protocol. A stream is a named log: other doors see the same records.
 *
 *   /v1/stream/NAME      GET, HEAD, POST, PUT, DELETE
 */
import type { ClientConnection } from "../../calls/call-tracker.ts";
import { streamRoutePermissions } from "../../calls/method-permissions.ts";
import { type Exchange, pathOf, queryOf, quoted } from "../exchange/exchange.ts";
import {
  answer,
  type LogRequest,
  type LogRouteOptions,
  noBody,
  type OneLogRequest,
  refuseMethod,
} from "../logs/log-call.ts";
import { preflightHeaders } from "../origin-rules.ts";
import { postToStream } from "./append-to-stream.ts";
import { putStream } from "./create/create-stream.ts";
import { deleteStream, headStream } from "./describe-stream.ts";
import { readStream } from "./read-stream.ts";
import { badRequest } from "./stream-call.ts";
import { streamEvents } from "./stream-events.ts";
import { streamNameOf } from "./stream-path.ts";

const methods: Readonly<Record<string, (request: OneLogRequest) => Promise<void>>> = {
  GET: getStream,
  HEAD: headStream,
  POST: postToStream,
  PUT: putStream,
  DELETE: deleteStream,
};

const streamMethods = Object.keys(methods).join(", ");

/** Serves a path that isStreamPath() accepts. */
export async function serveStream(
  exchange: Exchange,
  client: ClientConnection,
  options: LogRouteOptions,
): Promise<void> {
  const request: LogRequest = { exchange, client, options, params: new URLSearchParams(queryOf(exchange)) };
  const serve = Object.hasOwn(methods, exchange.method) ? methods[exchange.method] : undefined;
  if (serve === undefined) return refuseMethod(exchange, "a stream", streamMethods);
  let name: string;
  try {
    name = streamNameOf(pathOf(exchange));
  } catch (reason) {
    return refused(request, reason);
  }
  return serve({ ...request, name });
}

function getStream(request: OneLogRequest): Promise<void> {
  const live = request.params.get("live");
  if (live === "sse") return streamEvents(request);
  if (live === null || live === "long-poll") return readStream(request, live !== null);
  try {
    return badRequest('live must be "long-poll" or "sse"', "live");
  } catch (reason) {
    return refused(request, reason);
  }
}

function refused(request: LogRequest, reason: unknown): Promise<void> {
  const reject = (): Promise<never> => Promise.reject(reason as Error);
  return answer(request, streamRoutePermissions.misnamed, undefined, noBody, reject);
}

/**
 * Answers OPTIONS of a stream for an origin that is not listed. The headers that requests may have are listed for every origin;
 * without `access-control-allow-origin` a browser refuses the request all the same, and shows the developer this text.
 */
export function answerStreamPreflight(exchange: Exchange, origin: string | undefined): void {
  const text =
    origin === undefined
      ? ""
      : `a page of ${quoted(origin)} is not allowed to use this server; --cors-origins lists the pages that are\n`;
  const headers = { "content-type": "text/plain; charset=utf-8", allow: streamMethods, ...preflightHeaders };
  exchange.send(text === "" ? 204 : 200, headers, text);
}
