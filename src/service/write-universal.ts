/**
 * Writes what a Connect handler answers to Node's response, at the caller's pace.
 *
 * Never: buffers; a slow caller holds up its own handler and nobody else.
 */
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { isGone, type NodeResponse, write } from "./http.ts";

/** Resolves when the last byte was handed to the connection, or the caller has gone. */
export async function writeUniversal(answer: UniversalServerResponse, response: NodeResponse): Promise<void> {
  const body = answer.body?.[Symbol.asyncIterator]();
  try {
    if (body !== undefined) {
      for (let step = await body.next(); step.done !== true; step = await body.next()) {
        head(answer, response);
        if (!(await write(response, step.value))) return;
      }
    }
    if (isGone(response)) return;
    head(answer, response);
    if (answer.trailer !== undefined) response.addTrailers(plain(answer.trailer));
    response.end();
  } finally {
    await body?.return?.();
  }
}

/** Sends the headers once: after the first step of the handler, which may still set some. */
function head(answer: UniversalServerResponse, response: NodeResponse): void {
  if (response.headersSent || isGone(response)) return;
  response.writeHead(answer.status, plain(answer.header));
}

function plain(headers: HeadersInit | undefined): Record<string, string> {
  return headers === undefined ? {} : Object.fromEntries(new Headers(headers));
}
