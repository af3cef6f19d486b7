/** Recognizes the errors of Node's sockets, TLS and HTTP/2 inside an RPC error, by their codes. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { type TlsFault, tlsFaultOf } from "./tls-faults.ts";

/** With these codes no connection was made. */
const neverConnected: readonly string[] = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
];
/** An open connection can also end with these codes. Only from the system call `connect` do they mean "never sent". */
const whileConnecting: readonly string[] = ["ETIMEDOUT", "ECONNRESET", "EPIPE"];
const handshakeFailed = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/;

const advice: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens at this address; is the node running there?",
  ENOTFOUND: "the host name does not resolve",
  EAI_AGAIN: "the host name could not be resolved at this time",
  EHOSTUNREACH: "there is no route to this host",
  ENETUNREACH: "there is no route to this network",
};

/** The code of a connection that failed before anything was sent; undefined for any other error. */
export function connectionErrorOf(error: ConnectError): string | undefined {
  for (const cause of causesOf(error)) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (typeof code !== "string") continue;
    if (neverConnected.includes(code) || handshakeFailed.test(code)) return code;
    if (syscall === "connect" && whileConnecting.includes(code)) return code;
  }
  return undefined;
}

/** The message, with advice for the code if there is any. */
export function connectionMessage(message: string, code: string): string {
  const text = message.trim();
  return advice[code] === undefined ? text : `${text}: ${advice[code]}`;
}

/** What went wrong in the TLS handshake; undefined if the error is not one of a handshake. */
export const handshakeFaultOf = (error: ConnectError): TlsFault | undefined =>
  causesOf(error)
    .map(tlsFaultOf)
    .find((found) => found !== undefined);

/** The node refused the stream, so it did not process the request (RFC 9113 §8.7). */
export const isRefusedStream = (error: ConnectError): boolean =>
  error.code === Code.Unavailable && !error.isWireError && error.message.includes("REFUSED_STREAM");

/** The node, or a proxy, closed the connection. Node.js resets the open streams with CANCEL then. */
export const isConnectionClosed = (error: ConnectError): boolean =>
  (error.code === Code.Canceled &&
    error.rawMessage === "http/2 stream closed with error code CANCEL (0x8)") ||
  causesOf(error).some((cause) => (cause as NodeJS.ErrnoException).code === "ECONNRESET");

/** GOAWAY with INADEQUATE_SECURITY (12): our nodes send it to a client that uses plaintext on a TLS port. */
export const isTlsRequired = (error: ConnectError): boolean =>
  causesOf(error).some(
    (cause) =>
      (cause as NodeJS.ErrnoException).code === "ERR_HTTP2_SESSION_ERROR" &&
      cause.message.endsWith("error code 12"),
  );

/** The server does not use HTTP/2. A TLS port that is called in plaintext looks like this, too. */
export const isNotHttp2 = (error: ConnectError): boolean =>
  causesOf(error).some((cause) => (cause as NodeJS.ErrnoException).code === "ERR_HTTP2_ERROR");

/** The error and its causes, breadth first, at most 16. */
function causesOf(error: unknown): readonly Error[] {
  const found: Error[] = [];
  const open: unknown[] = [error];
  while (open.length > 0 && found.length < 16) {
    const next = open.shift();
    if (!(next instanceof Error) || found.includes(next)) continue;
    found.push(next);
    open.push(next.cause);
    if (next instanceof AggregateError) open.push(...next.errors.slice(0, 8));
  }
  return found;
}
