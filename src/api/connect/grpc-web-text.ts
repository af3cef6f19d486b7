/**
 * gRPC-Web in text mode: the frames of the binary mode in base64. Google's browser client streams only in this mode.
 * Requests are converted to the binary mode and responses back, without buffering a stream: each chunk of a response is
 * padded base64, as the protocol allows.
 */
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { Fault } from "../../fault.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";

const textType = /^application\/grpc-web-text(\+proto)?(;|$)/;

/** Returns whether this content type is text mode. */
export function isGrpcWebText(contentType: string | null): boolean {
  return contentType !== null && textType.test(contentType);
}

/** Returns the request in binary mode. */
export function binaryRequest(request: UniversalServerRequest): UniversalServerRequest {
  const header = new Headers(request.header);
  header.set("content-type", "application/grpc-web+proto");
  return { ...request, header, body: decoded(request.body as AsyncIterable<Uint8Array>) };
}

/** Returns the response in text mode. */
export function textResponse(response: UniversalServerResponse): UniversalServerResponse {
  const header = new Headers(response.header);
  header.set("content-type", "application/grpc-web-text+proto");
  return { ...response, header, ...(response.body === undefined ? {} : { body: encoded(response.body) }) };
}

async function* encoded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    yield Buffer.from(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("base64"));
  }
}

/** Decodes groups of four characters. An incomplete group waits for the next chunk. Padding can occur inside. */
async function* decoded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = "";
  for await (const chunk of body) {
    const text = rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    // One chunk out for one in: with each chunk, Connect copies all that it has collected.
    const runs = [...runsOf(text.slice(0, whole))];
    if (runs.length > 0) yield Buffer.concat(runs);
  }
  // The last run can lack its padding.
  if (rest !== "") yield* runsOf(rest);
}

/** Decodes each run of base64 up to the end of its padding. Throws a ConnectError, since Connect passes on no other. */
function* runsOf(text: string): Generator<Uint8Array> {
  for (let at = 0; at < text.length; ) {
    const padding = text.indexOf("=", at);
    const end = padding < 0 ? text.length : Math.min(text.length, padding - (padding % 4) + 4);
    const run = text.slice(at, end);
    if (!/^[A-Za-z0-9+/]{2,}={0,2}$/.test(run) || run.length % 4 === 1)
      throw connectErrorOf(new Fault("bad-request", { message: "the body is not base64" }));
    yield Buffer.from(run, "base64");
    at = end;
  }
}
