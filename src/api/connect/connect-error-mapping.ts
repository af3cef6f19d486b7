/**
 * Errors that Connect finds by itself, before our code runs: messages that do not parse, are cut short, too large,
 * wrongly compressed. They come without details, and some of them as the server's fault. Here they get the code, the
 * ErrorInfo and the "written: no" of every other error, in whichever framing the caller speaks.
 *
 * Never: touches an error that has details, or the answer of a handler that ran.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Compression, encodeEnvelope, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFromJson,
  endStreamToJson,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { Fault, type FaultKind } from "../../fault.ts";
import { connectErrorOf } from "../calls/error-mapping.ts";
import { jsonOptions } from "./json-options.ts";

const trailersFlag = 0x80;
const endStreamFlag = 0x02;
const prefixBytes = 5;

/** Whatever else Connect objects to is something that the caller sent. */
const kinds: Readonly<Partial<Record<Code, FaultKind>>> = {
  [Code.ResourceExhausted]: "too-large",
  [Code.Unimplemented]: "unimplemented",
  [Code.DeadlineExceeded]: "deadline",
  [Code.Canceled]: "canceled",
};

/** What was thrown, as a Fault where it is an error of Connect's own. */
export function faultOfConnectError(reason: unknown): unknown {
  if (!(reason instanceof ConnectError) || reason.details.length > 0) return reason;
  if (/^received compressed envelope/.test(reason.rawMessage)) {
    return new Fault("unexpected-compression", { cause: reason });
  }
  const limit = /larger than configured readMaxBytes (\d+)/.exec(reason.rawMessage)?.[1];
  return new Fault(kinds[reason.code] ?? "bad-request", {
    message: limit === undefined ? reason.rawMessage : `a message of more than ${limit} bytes`,
    ...(limit === undefined ? {} : { facts: { limit: Number(limit) } }),
    cause: reason,
  });
}

/**
 * What made Connect fail before a handler ran: nothing was written. Connect cannot state an error whose message holds
 * half of a surrogate pair, as that of a JSON text may.
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
 * The same answer, its error mended if it has one without details. For calls whose handler never ran. Connect
 * compresses long errors too: these are sent as they are.
 */
export async function completeConnectError(
  answer: UniversalServerResponse,
  requestType: string | null,
  compressions: readonly Compression[],
): Promise<UniversalServerResponse> {
  const type = requestType ?? "";
  const plain: Decompress = (bytes, header) => {
    const name = answer.header?.get(header);
    const compression = compressions.find((known) => known.name === name);
    return compression === undefined ? bytes : compression.decompress(bytes, errorBytesMax);
  };
  if (answer.trailer !== undefined) return mendTrailer(answer, answer.trailer);
  if (type.startsWith("application/grpc-web"))
    return mendEnd(answer, trailersFlag, grpcWebEnd, (bytes) => plain(bytes, "grpc-encoding"));
  if (type.startsWith("application/connect+"))
    return mendEnd(answer, endStreamFlag, connectEnd, (bytes) => plain(bytes, "connect-content-encoding"));
  return answer.status < 400 ? answer : mendUnary(answer, plain);
}

/** An error repeats no more than a request held, several times. */
const errorBytesMax = 64 * 1024 * 1024;
const compressedFlag = 0x01;

/** The bytes, decompressed as this header of the answer says. */
type Decompress = (bytes: Uint8Array, header: string) => Uint8Array | Promise<Uint8Array>;

function mended(error: ConnectError): ConnectError {
  return connectErrorOf(faultOfConnectError(error));
}

function mendTrailer(answer: UniversalServerResponse, trailer: Headers): UniversalServerResponse {
  const error = findTrailerError(trailer);
  if (error !== undefined && error.details.length === 0) setTrailerStatus(trailer, mended(error));
  return answer;
}

async function mendUnary(
  answer: UniversalServerResponse,
  plain: Decompress,
): Promise<UniversalServerResponse> {
  const sent = await collect(answer.body);
  const bytes = await plain(sent, "content-encoding");
  const error = errorFromJsonBytes(bytes, undefined, new ConnectError("not an error", Code.Unknown));
  if (error.details.length > 0) return { ...answer, body: once(sent) };
  const better = mended(error);
  const body = errorToJsonBytes(better, jsonOptions);
  const header = new Headers(answer.header);
  header.delete("content-encoding");
  header.set("content-length", String(body.length));
  return { ...answer, status: codeToHttpStatus(better.code), header, body: once(body) };
}

/** The last message's error, mended, as that message; undefined when it carries none to mend. */
type MendEnd = (message: Uint8Array) => Uint8Array | undefined;

async function mendEnd(
  answer: UniversalServerResponse,
  flag: number,
  mend: MendEnd,
  plain: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<UniversalServerResponse> {
  const bytes = await collect(answer.body);
  const first = bytes[0] ?? 0;
  const content = bytes.subarray(prefixBytes);
  const isEnd = (first & ~compressedFlag) === flag;
  const better = isEnd ? mend(first === flag ? content : await plain(content)) : undefined;
  return { ...answer, body: once(better === undefined ? bytes : encodeEnvelope(flag, better)) };
}

const grpcWebEnd: MendEnd = (message) => {
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
  setTrailerStatus(trailer, mended(error));
  return Buffer.from([...trailer].map(([name, value]) => `${name}: ${value}\r\n`).join(""));
};

const connectEnd: MendEnd = (message) => {
  const { error, metadata } = endStreamFromJson(message);
  if (error === undefined || error.details.length > 0) return undefined;
  return Buffer.from(JSON.stringify(endStreamToJson(metadata, mended(error), jsonOptions)));
};

async function collect(body: AsyncIterable<Uint8Array> | null | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
