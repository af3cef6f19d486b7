/**
 * What a client hears whose connection is refused: in HTTP/1.1 a response, in HTTP/2 a GOAWAY with the same sentence.
 * Pure.
 */
import { STATUS_CODES } from "node:http";

/** A response to what reaches no route. */
export interface Http1Refusal {
  readonly status: number;
  /** As Connect spells it. */
  readonly code: string;
  readonly message: string;
  /** More lines of the response's head. */
  readonly headers?: readonly string[];
}

export interface Refusal extends Http1Refusal {
  /** Of GOAWAY (RFC 9113 §7). */
  readonly h2Code: number;
}

/** The body of a refusal, one line of JSON. */
export const refusalBody = ({ code, message }: Http1Refusal): string =>
  `${JSON.stringify({ code, message, written: "no" })}\n`;

/** There are too many connections. */
export const tooManyConnections = (message: string): Refusal => ({
  status: 429,
  code: "resource_exhausted",
  message,
  h2Code: 0xb,
  headers: ["retry-after: 1"],
});

/** The bytes to send before the connection is ended. */
export function refusalBytes(spoken: "http1" | "h2c", refusal: Refusal): Buffer {
  return spoken === "http1" ? http1Bytes(refusal) : http2Bytes(refusal);
}

/** A whole response in HTTP/1.1, after which the connection ends. */
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

/** SETTINGS, then GOAWAY: no request was taken, so the client may send it elsewhere. */
function http2Bytes({ message, h2Code }: Refusal): Buffer {
  const debug = Buffer.from(message);
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const goAway = Buffer.alloc(9 + 8);
  goAway.writeUIntBE(8 + debug.length, 0, 3);
  goAway[3] = 7;
  goAway.writeUInt32BE(h2Code, 13);
  return Buffer.concat([settings, goAway, debug]);
}
