/**
 * Completes the errors that Connect finds before a handler runs: messages that do not parse, are cut short, are too
 * large or are compressed wrongly. Connect sends them without details, some with the code of a server error. Here they
 * get the code, the ErrorInfo and the "written: no" of all other errors, in the framing of the client.
 *
 * An error that has details is left as it is.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Compression, UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFromJson,
  endStreamToJson,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { Fault, type FaultKind } from "../../fault.ts";
import { encodeEnvelope, envelopeBytes, envelopeFlag } from "../../lib/envelope.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";
import { undecodable } from "../methods/append-message.ts";
import { messageTooLarge } from "../request-limits/message-limits.ts";
import { jsonOptions } from "./json-options.ts";

/** Connect's codes that are not "bad-request": every other error is about something that the client sent. */
const kinds: Readonly<Partial<Record<Code, FaultKind>>> = {
  [Code.ResourceExhausted]: "too-large",
  [Code.Unimplemented]: "unimplemented",
  [Code.DeadlineExceeded]: "deadline",
  [Code.Canceled]: "canceled",
};

/** Returns what was thrown, as a Fault if it is an error of Connect itself. */
export function faultOfConnectError(reason: unknown): unknown {
  if (!(reason instanceof ConnectError) || reason.details.length > 0) return reason;
  if (/^received compressed envelope/.test(reason.rawMessage)) {
    return new Fault("unexpected-compression", { cause: reason });
  }
  if (/^parse binary: /.test(reason.rawMessage)) return undecodable(reason);
  const limit = /larger than configured readMaxBytes (\d+)/.exec(reason.rawMessage)?.[1];
  if (limit !== undefined) return messageTooLarge(Number(limit));
  return new Fault(kinds[reason.code] ?? "bad-request", { message: reason.rawMessage, cause: reason });
}

/**
 * Returns the Fault of what Connect threw before a handler ran; nothing was written. Connect throws a URIError if the
 * message of an error holds an unpaired surrogate, which a JSON text can contain.
 */
export function faultBeforeHandler(thrown: unknown): Fault {
  if (thrown instanceof URIError) {
    return new Fault("bad-request", { message: "the message cannot be decoded", cause: thrown });
  }
  const reason = faultOfConnectError(thrown);
  if (reason instanceof Fault && reason.written === "no") return reason;
  return new Fault("unknown", {
    message: "the request could not be served",
    unexpected: true,
    cause: thrown,
  });
}

/**
 * Returns the response of a call whose handler did not run, with a complete error if it has one without details. Connect
 * compresses long errors. The completed error is sent without compression.
 */
export async function completeConnectError(
  response: UniversalServerResponse,
  requestType: string | null,
  compressions: readonly Compression[],
): Promise<UniversalServerResponse> {
  const type = requestType ?? "";
  const decompress: Decompress = (bytes, header) => {
    const name = response.header?.get(header);
    const compression = compressions.find((known) => known.name === name);
    return compression === undefined ? bytes : compression.decompress(bytes, errorBytesMax);
  };
  if (response.trailer !== undefined) return completeTrailer(response, response.trailer);
  if (type.startsWith("application/grpc-web"))
    return completeEnd(response, envelopeFlag.trailers, grpcWebEnd, (bytes) =>
      decompress(bytes, "grpc-encoding"),
    );
  if (type.startsWith("application/connect+"))
    return completeEnd(response, envelopeFlag.endStream, connectEnd, (bytes) =>
      decompress(bytes, "connect-content-encoding"),
    );
  return response.status < 400 ? response : completeUnary(response, decompress);
}

/** Limit of a decompressed error: it can repeat the text of a request several times. */
const errorBytesMax = 64 * 1024 * 1024;

/** Decompresses the bytes with the encoding that this header of the response names. */
type Decompress = (bytes: Uint8Array, header: string) => Uint8Array | Promise<Uint8Array>;

function completed(error: ConnectError): ConnectError {
  return connectErrorOf(faultOfConnectError(error));
}

function completeTrailer(response: UniversalServerResponse, trailer: Headers): UniversalServerResponse {
  const error = findTrailerError(trailer);
  if (error !== undefined && error.details.length === 0) setTrailerStatus(trailer, completed(error));
  return response;
}

async function completeUnary(
  response: UniversalServerResponse,
  decompress: Decompress,
): Promise<UniversalServerResponse> {
  const sent = await collect(response.body);
  const bytes = await decompress(sent, "content-encoding");
  const error = errorFromJsonBytes(bytes, undefined, new ConnectError("not an error", Code.Unknown));
  if (error.details.length > 0) return { ...response, body: once(sent) };
  const complete = completed(error);
  const body = errorToJsonBytes(complete, jsonOptions);
  const header = new Headers(response.header);
  header.delete("content-encoding");
  header.set("content-length", String(body.length));
  return { ...response, status: codeToHttpStatus(complete.code), header, body: once(body) };
}

/** Returns the last message with a complete error; undefined if there is no error without details. */
type CompleteEnd = (message: Uint8Array) => Uint8Array | undefined;

async function completeEnd(
  response: UniversalServerResponse,
  flag: number,
  complete: CompleteEnd,
  decompress: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<UniversalServerResponse> {
  const bytes = await collect(response.body);
  const first = bytes[0] ?? 0;
  const content = bytes.subarray(envelopeBytes);
  const isEnd = (first & ~envelopeFlag.compressed) === flag;
  const end = isEnd ? complete(first === flag ? content : await decompress(content)) : undefined;
  return { ...response, body: once(end === undefined ? bytes : encodeEnvelope(end, flag)) };
}

const grpcWebEnd: CompleteEnd = (message) => {
  const trailer = new Headers(
    Buffer.from(message)
      .toString("utf8")
      .split("\r\n")
      .filter((line) => line !== "")
      .map((line): [string, string] => [
        line.slice(0, line.indexOf(":")),
        line.slice(line.indexOf(":") + 1).trim(),
      ]),
  );
  const error = findTrailerError(trailer);
  if (error === undefined || error.details.length > 0) return undefined;
  setTrailerStatus(trailer, completed(error));
  return Buffer.from([...trailer].map(([name, value]) => `${name}: ${value}\r\n`).join(""));
};

const connectEnd: CompleteEnd = (message) => {
  const { error, metadata } = endStreamFromJson(message);
  if (error === undefined || error.details.length > 0) return undefined;
  return Buffer.from(JSON.stringify(endStreamToJson(metadata, completed(error), jsonOptions)));
};

async function collect(body: AsyncIterable<Uint8Array> | null | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
