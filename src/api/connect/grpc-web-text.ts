/**
 * gRPC-Web in text mode: the same frames in base64, for Google's browser client, which can stream in no other way.
 * A shim around the binary mode. Pure but for the streams.
 *
 * Never: buffers a stream; each piece of an answer is base64 by itself, padded, as the protocol allows.
 */
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { Fault } from "../../fault.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";

const textType = /^application\/grpc-web-text(\+proto)?(;|$)/;

/** True for a request in text mode. */
export function isGrpcWebText(contentType: string | null): boolean {
  return contentType !== null && textType.test(contentType);
}

/** The request in binary mode. */
export function binaryRequest(request: UniversalServerRequest): UniversalServerRequest {
  const header = new Headers(request.header);
  header.set("content-type", "application/grpc-web+proto");
  return { ...request, header, body: decoded(request.body as AsyncIterable<Uint8Array>) };
}

/** The answer in text mode. */
export function textResponse(response: UniversalServerResponse): UniversalServerResponse {
  const header = new Headers(response.header);
  header.set("content-type", "application/grpc-web-text+proto");
  return { ...response, header, ...(response.body === undefined ? {} : { body: encoded(response.body) }) };
}

async function* encoded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    yield Buffer.from(Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString("base64"));
  }
}

/** Four letters are three bytes; what is short of four waits for more. Padding may stand within. */
async function* decoded(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = "";
  for await (const piece of body) {
    const text = rest + Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString("latin1");
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    // One piece out for one in: each would cost Connect a copy of what it has gathered.
    const runs = [...runsOf(text.slice(0, whole))];
    if (runs.length > 0) yield Buffer.concat(runs);
  }
  // The last run may lack its padding.
  if (rest !== "") yield* runsOf(rest);
}

/** Each run of base64 up to the end of its padding, decoded. Throws a ConnectError, the only kind that Connect hands on. */
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
