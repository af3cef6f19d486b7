/**
 * Messages for clients that are refused before they reach a route: a response in HTTP/1.1, a GOAWAY with the same text in
 * HTTP/2.
 */
import { STATUS_CODES } from "node:http";

export type HttpVersion = "http1" | "http2";

/** A response in HTTP/1.1. */
export interface Http1Refusal {
  readonly status: number;
  /** The name of a Connect code. */
  readonly code: string;
  readonly message: string;
  /** Additional header lines. */
  readonly headers?: readonly string[];
}

export interface ConnectionRefusal extends Http1Refusal {
  /** The error code of GOAWAY (RFC 9113 §7). */
  readonly h2Code: number;
}

/** The body of a refusal, one line of JSON. */
export const refusalBody = ({ code, message }: Http1Refusal): string =>
  `${JSON.stringify({ code, message, written: "no" })}\n`;

/** ENHANCE_YOUR_CALM. */
export const tooManyConnections = (message: string): ConnectionRefusal => ({
  status: 429,
  code: "resource_exhausted",
  message,
  h2Code: 0xb,
  headers: ["retry-after: 1"],
});

/** For plaintext on a port that requires TLS. INADEQUATE_SECURITY. */
export const plaintextRefusal: ConnectionRefusal = {
  status: 400,
  code: "invalid_argument",
  message: "this port requires TLS, use https and a client certificate",
  h2Code: 0xc,
};

export const unauthenticated = (message: string): Http1Refusal => ({
  status: 401,
  code: "unauthenticated",
  message,
});

/** The bytes to send before the connection ends. */
export function refusalBytes(version: HttpVersion, refusal: ConnectionRefusal): Buffer {
  return version === "http1" ? http1Bytes(refusal) : http2Bytes(refusal);
}

/** A whole response in HTTP/1.1, after which the connection must end. */
export function http1Bytes(refusal: Http1Refusal): Buffer {
  const { status, headers = [] } = refusal;
  const body = Buffer.from(refusalBody(refusal));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: application/json",
    "x-content-type-options: nosniff",
    `content-length: ${body.length}`,
    ...headers,
    "connection: close",
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
}

/** SETTINGS and GOAWAY with last stream 0: no request was processed, so the client may send it elsewhere. */
function http2Bytes({ message, h2Code }: ConnectionRefusal): Buffer {
  const debug = Buffer.from(message);
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const goAway = Buffer.alloc(9 + 8);
  goAway.writeUIntBE(8 + debug.length, 0, 3);
  goAway[3] = 7;
  goAway.writeUInt32BE(h2Code, 13);
  return Buffer.concat([settings, goAway, debug]);
}
