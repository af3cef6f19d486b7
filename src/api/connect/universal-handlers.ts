/**
 * Converts between an Exchange and Connect's universal requests and responses. A response is written at the speed of
 * its client: a slow client delays only its own handler.
 */
import type { ContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Clock } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { Exchange, RequestHeaders, ResponseHeaders } from "../http/exchange/exchange.ts";

/** Returns the request for a handler of Connect. */
export function universalRequest(exchange: Exchange, contextValues: ContextValues): UniversalServerRequest {
  return {
    httpVersion: exchange.httpVersion,
    method: exchange.method,
    // Connect reads only the query. The authority that the client sent can be invalid in a URL.
    url: `http://localhost${exchange.target}`,
    header: webHeaders(exchange.headers),
    // Not before Connect reads: access to the body sends 100 Continue.
    body: { [Symbol.asyncIterator]: () => exchange.body[Symbol.asyncIterator]() },
    signal: exchange.signal,
    contextValues,
  };
}

/**
 * Writes the response. Resolves when the connection has taken the last byte, or the client has disconnected. Work for a
 * fast client is spread over turns of the event loop.
 */
export async function writeUniversal(
  response: UniversalServerResponse,
  exchange: Exchange,
  clock: Clock,
): Promise<void> {
  const body = response.body?.[Symbol.asyncIterator]();
  const turns = workTurns(clock);
  try {
    if (body !== undefined) {
      for (let step = await body.next(); step.done !== true; step = await body.next()) {
        respondOnce(response, exchange);
        const written = exchange.write(step.value);
        if (!(typeof written === "boolean" ? written : await written)) return;
        const later = turns.next();
        if (later !== undefined) await later;
      }
    }
    respondOnce(response, exchange);
    exchange.end(response.trailer === undefined ? undefined : recordOf(response.trailer));
  } finally {
    await body?.return?.();
  }
}

/** Sends the headers once, after the first step of the handler, which can still set some. */
function respondOnce(response: UniversalServerResponse, exchange: Exchange): void {
  if (!exchange.headersSent) exchange.respond(response.status, recordOf(response.header));
}

function recordOf(headers: Headers | undefined): ResponseHeaders {
  return headers === undefined ? {} : Object.fromEntries(headers);
}

/** Returns the headers without the pseudo-header fields of HTTP/2. */
function webHeaders(headers: RequestHeaders): Headers {
  const header = new Headers();
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.startsWith(":")) continue;
    if (typeof value === "string") header.append(name, value);
    else for (const one of value) header.append(name, one);
  }
  return header;
}
