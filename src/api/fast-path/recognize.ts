/**
 * Which requests the express lane takes. Pure: headers in, a plan or undefined out; undefined means that Connect's
 * own handler serves the request on the same listener.
 *
 * A closed set of headers can change what a request or its answer means. Each must be absent or hold its plain value
 * (a page's origin asks for headers of its own in the answer); every other header (cookies, priority, sec-…,
 * accept-…) is inert. Answers of this lane are never compressed, which every
 * client accepts.
 *
 * Never: answers a request, guesses.
 */
import type { IncomingHttpHeaders } from "node:http2";
import type { Protocol } from "../../lib/telemetry.ts";

/** How messages are wrapped and how the end is told. */
export type Framing = "grpc" | "grpc-web" | "connect-stream" | "connect-unary";

export interface ExpressRequest {
  readonly framing: Framing;
  readonly protocol: Protocol;
  /** As the answer will say it. */
  readonly contentType: string;
  /** From the start of the call, milliseconds; undefined: no limit. */
  readonly timeoutMs: number | undefined;
}

/** What a method sends and takes. */
export interface MethodShape {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

interface Kind {
  readonly framing: Framing;
  readonly protocol: Protocol;
  readonly contentType: string;
}

const grpc: Kind = { framing: "grpc", protocol: "grpc", contentType: "application/grpc+proto" };
const grpcWeb: Kind = {
  framing: "grpc-web",
  protocol: "grpc-web",
  contentType: "application/grpc-web+proto",
};
const kinds: Readonly<Record<string, Kind>> = {
  "application/grpc": grpc,
  "application/grpc+proto": grpc,
  "application/grpc-web": grpcWeb,
  "application/grpc-web+proto": grpcWeb,
  "application/connect+proto": {
    framing: "connect-stream",
    protocol: "connect",
    contentType: "application/connect+proto",
  },
  "application/proto": { framing: "connect-unary", protocol: "connect", contentType: "application/proto" },
};

/** The encoding header of each framing; a body encoded in any way is Connect's business. */
const encodingHeaders = ["content-encoding", "grpc-encoding", "connect-content-encoding"] as const;

/** The plan for a POST to a method of this shape, or undefined when Connect is to serve it. */
export function recognise(
  headers: IncomingHttpHeaders,
  shape: MethodShape,
  timeoutMsMax: number,
): ExpressRequest | undefined {
  if (headers[":method"] !== "POST" || headers["expect"] !== undefined) return undefined;
  if (headers["origin"] !== undefined || isOtherSite(headers["sec-fetch-site"])) return undefined;
  const kind = kinds[headers["content-type"] ?? ""];
  if (kind === undefined || !fits(kind.framing, shape)) return undefined;
  for (const name of encodingHeaders) {
    const value = headers[name];
    if (value !== undefined && value !== "identity") return undefined;
  }
  const version = headers["connect-protocol-version"];
  if (version !== undefined && version !== "1") return undefined;
  const length = headers["content-length"];
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return undefined;
  const timeoutMs = timeoutOf(headers, kind.protocol);
  if (Number.isNaN(timeoutMs) || (timeoutMs !== undefined && timeoutMs > timeoutMsMax)) return undefined;
  return { ...kind, timeoutMs };
}

/** A page of another site asks, by a header that only browsers send. */
function isOtherSite(fetchSite: string | string[] | undefined): boolean {
  return fetchSite !== undefined && fetchSite !== "same-origin" && fetchSite !== "none";
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

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** NaN when there is a timeout that this lane does not understand. */
function timeoutOf(headers: IncomingHttpHeaders, protocol: Protocol): number | undefined {
  const value = headers[protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout"];
  if (value === undefined) return undefined;
  if (typeof value !== "string") return Number.NaN;
  if (protocol === "connect") return /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  const parts = /^(\d{1,8})([HMSmun])$/.exec(value);
  return parts === null ? Number.NaN : Number(parts[1]) * (unitMs[parts[2] as string] as number);
}
