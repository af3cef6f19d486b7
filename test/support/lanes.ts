/**
 * The two lanes side by side for tests: two servers that differ in nothing else, what is sent to them, and what a
 * client can tell of their answers. Bodies are compared as messages, for protobuf lets fields stand in any order;
 * compression and the moment headers go out are the lane's own.
 *
 * Never: judges.
 */
import { type ClientHttp2Session, connect } from "node:http2";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { expressLane } from "../../src/api/fast-path/fast-path.ts";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import {
  ConsumeRequestSchema,
  ConsumeResponseSchema,
  ProduceBatchRequestSchema,
  ProduceBatchResponseSchema,
  ProduceBulkResponseSchema,
  ProduceRequestSchema,
  ProduceResponseSchema,
  RecordBatchSchema,
} from "../../src/gen/log/v1/log_pb.js";
import { type Served, type ServeOptions, serve } from "./serve.ts";

/** A server with one of the lanes, and a client of it. */
export interface Lane {
  readonly served: Served;
  readonly session: ClientHttp2Session;
  /** How many requests the express lane took. */
  taken: number;
}

export async function openLane(fast: boolean, options: ServeOptions = {}): Promise<Lane> {
  const lane = { taken: 0 } as { -readonly [Name in keyof Lane]: Lane[Name] };
  lane.served = await serve(
    fast
      ? {
          ...options,
          express: (shared) => {
            const take = expressLane(shared);
            return (stream, headers, caller) => {
              const took = take(stream, headers, caller);
              if (took) lane.taken++;
              return took;
            };
          },
        }
      : options,
  );
  lane.session = connect(lane.served.url);
  lane.session.on("error", () => undefined);
  return lane;
}

export const envelope = (message: Uint8Array, flags = 0): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};

export interface Answer {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
  /** The code the stream was closed with. */
  readonly reset: number;
}

/** One request; with `open` the client keeps the right to say more. */
export function send(
  lane: Pick<Lane, "session">,
  path: string,
  headers: Record<string, string>,
  body: Buffer,
  open = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = lane.session.request({ ":method": "POST", ":path": path, ...headers });
    let got: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on("response", (head) => {
      got = { ...head };
    });
    stream.on("trailers", (tail) => {
      trailers = { ...tail };
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () =>
      resolve({ headers: got, trailers, body: Buffer.concat(chunks), reset: stream.rstCode ?? 0 }),
    );
    if (open) stream.write(body);
    else stream.end(body);
  });
}

/** What a client can tell of an answer. */
export function told(answer: Answer, output: DescMessage): unknown {
  const { headers, trailers, body } = answer;
  const type = String(headers["content-type"]);
  const decode = (bytes: Uint8Array) => toJson(output, fromBinary(output, bytes));
  const head = { status: headers[":status"], type };
  if (type === "application/proto")
    return { ...head, length: headers["content-length"], message: decode(body) };
  if (type === "application/json") return { ...head, error: JSON.parse(body.toString()) };
  const messages: unknown[] = [];
  let end: unknown;
  for (let at = 0; at < body.length; ) {
    const next = at + 5 + body.readUInt32BE(at + 1);
    const payload = body.subarray(at + 5, next);
    if (body[at] === 0) messages.push(decode(payload));
    else if (body[at] === 2) end = JSON.parse(payload.toString());
    else
      end = status(
        Object.fromEntries(
          payload
            .toString()
            .trim()
            .split("\r\n")
            .map((line) => line.split(": ")),
        ),
      );
    at = next;
  }
  return { ...head, messages, end: type === "application/grpc+proto" ? status(trailers) : end };
}

function status(trailers: Record<string, unknown>): unknown {
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
} as const;
export type FramingName = keyof typeof framings;

export interface Method {
  readonly path: string;
  readonly output: DescMessage;
  readonly framings: readonly FramingName[];
}

export const unary: readonly FramingName[] = ["grpc", "grpc-web", "connect-unary"];
const serverStream: readonly FramingName[] = ["grpc", "grpc-web", "connect-stream"];
const clientStream: readonly FramingName[] = ["grpc", "connect-stream"];
export const methods = {
  produce: { path: "/log.v1.Log/Produce", output: ProduceResponseSchema, framings: unary },
  produceBatch: { path: "/log.v1.Log/ProduceBatch", output: ProduceBatchResponseSchema, framings: unary },
  consume: { path: "/log.v1.Log/Consume", output: ConsumeResponseSchema, framings: unary },
  produceStream: { path: "/log.v1.Log/ProduceStream", output: ProduceResponseSchema, framings: clientStream },
  produceBulk: { path: "/log.v1.Log/ProduceBulk", output: ProduceBulkResponseSchema, framings: clientStream },
  consumeStream: { path: "/log.v1.Log/ConsumeStream", output: ConsumeResponseSchema, framings: serverStream },
  consumeBatches: { path: "/log.v1.Log/ConsumeBatches", output: RecordBatchSchema, framings: serverStream },
} satisfies Record<string, Method>;

export const one = (init: MessageInitShape<typeof ProduceRequestSchema>): Uint8Array =>
  toBinary(ProduceRequestSchema, create(ProduceRequestSchema, init));
export const many = (init: MessageInitShape<typeof ProduceBatchRequestSchema>): Uint8Array =>
  toBinary(ProduceBatchRequestSchema, create(ProduceBatchRequestSchema, init));
export const from = (init: MessageInitShape<typeof ConsumeRequestSchema>): Uint8Array =>
  toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, init));
