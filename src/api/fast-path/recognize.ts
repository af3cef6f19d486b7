/**
 * Decides from the headers whether the fast path serves a request. Undefined means that Connect's handler serves it on
 * the same listener.
 *
 * A closed set of headers can change the meaning of a request or its response. Each of them must be absent or hold its
 * default value. All other headers (cookies, priority, accept-…) have no effect. The fast path sends no compressed
 * responses, which every client accepts. Origins are checked apart (response-head.ts).
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { Protocol } from "../../lib/telemetry.ts";
import { grpcTimeoutMs } from "../calls/grpc-timeout.ts";

/** How messages are wrapped, and how the end of a response is marked. */
export type Framing = "grpc" | "grpc-web" | "connect-stream" | "connect-unary";

/** How the outcome is sent: in a framing, or as one line of JSON with an HTTP status (`POST /`). */
export type ResponseFraming = Framing | "http";

/** A request that the fast path serves. */
export interface FastRequest {
  readonly framing: ResponseFraming;
  /** Messages are JSON. Only with connect-unary. */
  readonly isJson: boolean;
  readonly protocol: Protocol;
  /** From the start of the call, in milliseconds. Undefined: no limit. */
  readonly timeoutMs: number | undefined;
  /** The URL of the same request at the leader, if the reason of a failure names the leader. Only with `http`. */
  readonly locationOf?: (reason: unknown) => string | undefined;
}

/** Which directions of a method are streams. */
export interface MethodShape {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

interface ContentType {
  readonly framing: Framing;
  readonly isJson: boolean;
  readonly protocol: Protocol;
}

const grpc: ContentType = { framing: "grpc", isJson: false, protocol: "grpc" };
const grpcWeb: ContentType = { framing: "grpc-web", isJson: false, protocol: "grpc-web" };
const json: ContentType = { framing: "connect-unary", isJson: true, protocol: "connect" };
const contentTypes: Readonly<Record<string, ContentType>> = {
  "application/grpc": grpc,
  "application/grpc+proto": grpc,
  "application/grpc-web": grpcWeb,
  "application/grpc-web+proto": grpcWeb,
  "application/connect+proto": { framing: "connect-stream", isJson: false, protocol: "connect" },
  "application/proto": { framing: "connect-unary", isJson: false, protocol: "connect" },
  "application/json": json,
  "application/json; charset=utf-8": json,
  "application/json;charset=utf-8": json,
};

/** The headers that name an encoding of the body, one for each framing. Connect serves encoded requests. */
const encodingHeaders = ["content-encoding", "grpc-encoding", "connect-content-encoding"] as const;

/** Returns how to serve a POST to a method of this shape, or undefined to leave it to Connect. */
export function recognizeRequest(
  headers: IncomingHttpHeaders,
  shape: MethodShape,
  timeoutMsMax: number,
): FastRequest | undefined {
  if (headers[":method"] !== "POST" || headers["expect"] !== undefined) return undefined;
  const type = contentTypes[headers["content-type"] ?? ""];
  if (type === undefined || !fits(type.framing, shape)) return undefined;
  for (const name of encodingHeaders) {
    const value = headers[name];
    if (value !== undefined && value !== "identity") return undefined;
  }
  const version = headers["connect-protocol-version"];
  if (version !== undefined && version !== "1") return undefined;
  const length = headers["content-length"];
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return undefined;
  const timeoutMs = timeoutOf(headers, type.protocol);
  if (Number.isNaN(timeoutMs) || (timeoutMs !== undefined && timeoutMs > timeoutMsMax)) return undefined;
  return { framing: type.framing, isJson: type.isJson, protocol: type.protocol, timeoutMs };
}

function fits(framing: Framing, shape: MethodShape): boolean {
  const streams = shape.requestStream || shape.responseStream;
  switch (framing) {
    case "grpc":
      return true;
    case "grpc-web":
      return !shape.requestStream;
    case "connect-stream":
      return streams;
    case "connect-unary":
      return !streams;
  }
}

/** Returns NaN for a timeout that the fast path does not understand. */
function timeoutOf(headers: IncomingHttpHeaders, protocol: Protocol): number | undefined {
  const value = headers[protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout"];
  if (value === undefined) return undefined;
  if (typeof value !== "string") return Number.NaN;
  if (protocol === "connect") return /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  return grpcTimeoutMs(value);
}
