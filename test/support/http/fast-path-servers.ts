/**
 * Two servers that differ only in the fast path, requests to them, and what a client can observe of their responses.
 * Bodies are compared as messages, because protobuf allows any order of fields. Compression and the time at which headers
 * arrive may differ.
 */
import { type ClientHttp2Session, connect } from "node:http2";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
  toJson,
  toJsonString,
} from "@bufbuild/protobuf";
import { createFastPath } from "../../../src/api/fast-path/fast-path.ts";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.js";
import {
  ConsumeRequestSchema,
  ConsumeResponseSchema,
  CreateLogRequestSchema,
  CreateLogResponseSchema,
  ProduceBatchRequestSchema,
  ProduceBatchResponseSchema,
  ProduceBulkResponseSchema,
  ProduceRequestSchema,
  ProduceResponseSchema,
  RecordBatchSchema,
  TailLogsRequestSchema,
  TailLogsResponseSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope, envelopeBytes, envelopeFlag } from "../../../src/lib/envelope.ts";
import { type Served, type ServeOptions, serve } from "./serve.ts";

/** A server with or without the fast path, and a client of it. */
export interface PathServer {
  readonly served: Served;
  readonly session: ClientHttp2Session;
  /** Requests that the fast path served. */
  fastRequests: number;
}

export async function openPathServer(fast: boolean, options: ServeOptions = {}): Promise<PathServer> {
  const server = { fastRequests: 0 } as { -readonly [Name in keyof PathServer]: PathServer[Name] };
  server.served = await serve(
    fast
      ? {
          ...options,
          fastPath: (shared) => {
            const fastPath = createFastPath(shared);
            return (stream, headers, client) => {
              const isServed = fastPath(stream, headers, client);
              if (isServed) server.fastRequests++;
              return isServed;
            };
          },
        }
      : options,
  );
  server.session = connect(server.served.url);
  server.session.on("error", () => undefined);
  return server;
}

export interface WireResponse {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
  /** The error code with which the stream was closed. */
  readonly reset: number;
}

/** Sends one request. With `open`, the client does not end the request. */
export function send(
  server: Pick<PathServer, "session">,
  path: string,
  headers: Record<string, string>,
  body: Uint8Array,
  open = false,
): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const stream = server.session.request({ ":method": "POST", ":path": path, ...headers });
    let received: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on("response", (head) => {
      received = { ...head };
    });
    stream.on("trailers", (tail) => {
      trailers = { ...tail };
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () =>
      resolve({ headers: received, trailers, body: Buffer.concat(chunks), reset: stream.rstCode ?? 0 }),
    );
    if (open) stream.write(body);
    else stream.end(body);
  });
}

/** The envelopes of a body: their flags and messages. */
export function envelopesOf(body: Buffer): { flags: number; message: Buffer; envelope: Buffer }[] {
  const envelopes = [];
  for (let at = 0; at < body.length; ) {
    const start = at + envelopeBytes;
    const end = start + body.readUInt32BE(at + 1);
    if (end > body.length) throw new Error("the body ends inside a message");
    envelopes.push({
      flags: body[at] as number,
      message: body.subarray(start, end),
      envelope: body.subarray(at, end),
    });
    at = end;
  }
  return envelopes;
}

/** What a client can observe of a response. */
export function observed(response: WireResponse, output: DescMessage): unknown {
  const { headers, trailers, body } = response;
  const type = String(headers["content-type"]);
  const decode = (bytes: Uint8Array) => toJson(output, fromBinary(output, bytes));
  const { date, ...others } = headers;
  const sorted = Object.fromEntries(Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1)));
  const head = { hasDate: /GMT$/.test(String(date)), headers: sorted };
  if (type === "application/proto") return { ...head, message: decode(body) };
  // Byte for byte: protobuf-es decides about white space.
  if (type === "application/json") return { ...head, text: body.toString() };
  const messages: unknown[] = [];
  let end: unknown;
  for (const { flags, message } of envelopesOf(body)) {
    if (flags === 0) messages.push(decode(message));
    else if (flags === envelopeFlag.endStream) end = JSON.parse(message.toString());
    else end = statusOf(trailersOf(message.toString()));
  }
  return { ...head, messages, end: type === "application/grpc+proto" ? statusOf(trailers) : end };
}

/** The trailers of gRPC-Web, which are lines of text. */
const trailersOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .trim()
      .split("\r\n")
      .map((line) => {
        const at = line.indexOf(": ");
        return [line.slice(0, at), line.slice(at + 2)];
      }),
  );

function statusOf(trailers: Record<string, unknown>): unknown {
  const details = trailers["grpc-status-details-bin"];
  return {
    code: trailers["grpc-status"],
    // gRPC lets a server encode more characters than it must, and clients decode them all.
    message: decodeURIComponent(String(trailers["grpc-message"])),
    details:
      details === undefined
        ? undefined
        : fromBinary(StatusSchema, Buffer.from(String(details), "base64")).details.map(
            ({ typeUrl, value }) => [typeUrl, Buffer.from(value).toString("hex")],
          ),
  };
}

export const framings = {
  grpc: "application/grpc",
  "grpc-web": "application/grpc-web+proto",
  "connect-stream": "application/connect+proto",
  "connect-unary": "application/proto",
  "connect-json": "application/json",
} as const;
export type FramingName = keyof typeof framings;

export interface TestedMethod {
  readonly path: string;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly framings: readonly FramingName[];
}

export const unary: readonly FramingName[] = ["grpc", "grpc-web", "connect-unary", "connect-json"];
const tested = (
  name: string,
  input: DescMessage,
  output: DescMessage,
  names: readonly FramingName[],
): TestedMethod => ({
  path: `/log.v1.${name}`,
  input,
  output,
  framings: names,
});
const serverStream: readonly FramingName[] = ["grpc", "grpc-web", "connect-stream"];
const clientStream: readonly FramingName[] = ["grpc", "connect-stream"];
export const methods = {
  produce: tested("Log/Produce", ProduceRequestSchema, ProduceResponseSchema, unary),
  produceBatch: tested("Log/ProduceBatch", ProduceBatchRequestSchema, ProduceBatchResponseSchema, unary),
  consume: tested("Log/Consume", ConsumeRequestSchema, ConsumeResponseSchema, unary),
  produceStream: tested("Log/ProduceStream", ProduceRequestSchema, ProduceResponseSchema, clientStream),
  produceBulk: tested("Log/ProduceBulk", ProduceBatchRequestSchema, ProduceBulkResponseSchema, clientStream),
  consumeStream: tested("Log/ConsumeStream", ConsumeRequestSchema, ConsumeResponseSchema, serverStream),
  consumeBatches: tested("Log/ConsumeBatches", ConsumeRequestSchema, RecordBatchSchema, serverStream),
  createLog: tested("Logs/CreateLog", CreateLogRequestSchema, CreateLogResponseSchema, unary),
  tailLogs: tested("Logs/TailLogs", TailLogsRequestSchema, TailLogsResponseSchema, serverStream),
} satisfies Record<string, TestedMethod>;

/** The body of a request with these messages. One message in JSON, one bare one, or envelopes. */
export function bodyOf(method: TestedMethod, name: FramingName, messages: readonly Uint8Array[]): Uint8Array {
  if (name === "connect-unary") return Buffer.concat(messages);
  if (name !== "connect-json") return Buffer.concat(messages.map((message) => encodeEnvelope(message)));
  return Buffer.from(
    messages.map((message) => toJsonString(method.input, fromBinary(method.input, message))).join(),
  );
}

export const produceRequest = (init: MessageInitShape<typeof ProduceRequestSchema>): Uint8Array =>
  toBinary(ProduceRequestSchema, create(ProduceRequestSchema, init));
export const produceBatchRequest = (init: MessageInitShape<typeof ProduceBatchRequestSchema>): Uint8Array =>
  toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, init));
export const createLogRequest = (init: MessageInitShape<typeof CreateLogRequestSchema>): Uint8Array =>
  toBinary(CreateLogRequestSchema, create(CreateLogRequestSchema, init));
export const consumeRequest = (init: MessageInitShape<typeof ConsumeRequestSchema>): Uint8Array =>
  toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, init));
export const tailLogsRequest = (init: MessageInitShape<typeof TailLogsRequestSchema>): Uint8Array =>
  toBinary(TailLogsRequestSchema, create(TailLogsRequestSchema, init));
