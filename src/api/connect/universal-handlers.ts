/**
 * Connect's requests and responses over an Exchange, at the client's pace: a slow client holds up its own handler and
 * no other.
 */
import type { ContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Clock } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { Exchange, RequestHeaders, ResponseHeaders } from "../http/exchange.ts";

/** The request as Connect's handlers take it. */
export function universalRequest(exchange: Exchange, contextValues: ContextValues): UniversalServerRequest {
  return {
    httpVersion: exchange.httpVersion,
    method: exchange.method,
    // Connect reads the query only. The name that the client used need not be part of a valid URL.
    url: `http://localhost${exchange.target}`,
    header: webHeaders(exchange.headers),
    // Not before Connect reads: asking for the body is what sends 100 Continue.
    body: { [Symbol.asyncIterator]: () => exchange.body[Symbol.asyncIterator]() },
    signal: exchange.signal,
    contextValues,
  };
}

/**
 * Resolves when the last byte was handed to the connection, or the client has gone. A client that takes everything at
 * once does not hold the event loop: there are turns between.
 */
export async function writeUniversal(
  answer: UniversalServerResponse,
  exchange: Exchange,
  clock: Clock,
): Promise<void> {
  const body = answer.body?.[Symbol.asyncIterator]();
  const turns = workTurns(clock);
  try {
    if (body !== undefined) {
      for (let step = await body.next(); step.done !== true; step = await body.next()) {
        head(answer, exchange);
        const written = exchange.write(step.value);
        if (!(typeof written === "boolean" ? written : await written)) return;
        const later = turns.next();
        if (later !== undefined) await later;
      }
    }
    head(answer, exchange);
    exchange.end(answer.trailer === undefined ? undefined : plain(answer.trailer));
  } finally {
    await body?.return?.();
  }
}

/** Sends the headers once: after the first step of the handler, which may still set some. */
function head(answer: UniversalServerResponse, exchange: Exchange): void {
  if (!exchange.headersSent) exchange.respond(answer.status, plain(answer.header));
}

function plain(headers: Headers | undefined): ResponseHeaders {
  return headers === undefined ? {} : Object.fromEntries(headers);
}

/** Without the pseudo-header fields of HTTP/2. */
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
