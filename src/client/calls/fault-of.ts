/**
 * From an RPC's error back to a Fault. The ErrorInfo says which one it was, and whether the write happened; without
 * one the outcome is unknown, except where no connection could be made or the peer vows that it did nothing. Pure.
 *
 * Never: guesses that something was not written.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Facts, Fault, type FaultKind, faultKinds } from "../../fault.ts";
import { factsFromText } from "../../fault-facts.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { tlsFaultOf } from "./tls-faults.ts";

/** Of a write, an error without ErrorInfo leaves the outcome unknown; a read writes nothing, whatever happens. */
export type Effect = "read" | "write";

const domain = "tailrace";

/** Kinds for errors that carry no ErrorInfo of ours. */
const kindsByCode: Readonly<Partial<Record<Code, FaultKind>>> = {
  [Code.InvalidArgument]: "bad-request",
  [Code.OutOfRange]: "out-of-range",
  [Code.Unauthenticated]: "unauthenticated",
  [Code.PermissionDenied]: "permission-denied",
  [Code.NotFound]: "not-found",
  [Code.FailedPrecondition]: "failed-precondition",
  [Code.Unimplemented]: "unimplemented",
  [Code.ResourceExhausted]: "overloaded",
  [Code.Unavailable]: "unavailable",
  [Code.DeadlineExceeded]: "deadline",
  [Code.Canceled]: "canceled",
  [Code.DataLoss]: "corrupt",
};

/** Node's codes for a connection that was never made. */
const neverConnected: readonly string[] = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
];
/** What a code means, for people; the code stays beside it. */
const connectionAdvice: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens at this address; is the node running there?",
  ENOTFOUND: "the host name does not resolve",
  EAI_AGAIN: "the host name could not be looked up now",
  EHOSTUNREACH: "no route leads to this host",
  ENETUNREACH: "no route leads to this network",
};
/** Codes that a connection under way can also end with; only while connecting do they mean that nothing was sent. */
const whileConnecting: readonly string[] = ["ETIMEDOUT", "ECONNRESET", "EPIPE"];
const handshakeFailed = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/;

/** The fault that the far end meant. */
export function faultOf(reason: unknown, effect: Effect = "write"): Fault {
  if (reason instanceof Fault) return reason;
  const error = ConnectError.from(reason);
  const message = error.rawMessage;
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === domain);
  if (info !== undefined) {
    const kind = info.reason.toLowerCase().replaceAll("_", "-") as FaultKind;
    const { written, ...metadata } = info.metadata;
    return new Fault(faultKinds.includes(kind) ? kind : "unknown", {
      message,
      facts: factsFromText(metadata),
      written: written === "no" || effect === "read" ? "no" : "unknown",
      cause: error,
    });
  }
  const tls = causesOf(error)
    .map(tlsFaultOf)
    .find((found) => found !== undefined);
  if (tls !== undefined) {
    const facts: Facts = tls.kind === "unavailable" ? { unreachable: true } : {};
    return new Fault(tls.kind, { message: tls.message, facts, cause: error });
  }
  const code = connectionErrorOf(error);
  if (code !== undefined) {
    const advice = connectionAdvice[code];
    return new Fault("unavailable", {
      message: advice === undefined ? message.trim() : `${message.trim()}: ${advice}`,
      facts: { unreachable: true, code },
      cause: error,
    });
  }
  if (isTooOpen(error)) {
    return new Fault("unavailable", {
      message: "the node speaks TLS only, and was called in plaintext",
      facts: { unreachable: true },
      cause: error,
    });
  }
  if (wasRefused(error)) return new Fault("unavailable", { message, cause: error });
  const isOther = isProtocolError(error);
  return new Fault(kindsByCode[error.code] ?? "unknown", {
    message: isOther ? otherProtocolMessage : wasCut(error) ? cutMessage : message,
    facts: isOther ? { unreachable: true } : {},
    written: effect === "read" ? "no" : "unknown",
    cause: error,
  });
}

/** The same fault, with the address when no connection to it could be made. */
export function withAddress(fault: Fault, addr: string): Fault {
  const { kind, facts, written, message } = fault;
  if (facts.unreachable !== true || facts.address !== undefined) return fault;
  const { code } = facts;
  const why = code === undefined || message.includes(code) ? message : `${message} (${code})`;
  return new Fault(kind, {
    message: message.includes(addr) ? why : `no connection to ${addr}: ${why}`,
    facts: { ...facts, address: addr },
    written,
    cause: fault.cause ?? fault,
  });
}

/** The fault of an attempt whose time was up while the connection was still being made. */
export function withoutConnection(fault: Fault, addr: string): Fault {
  if (fault.kind !== "deadline") return fault;
  return new Fault("unavailable", {
    message: `no connection to ${addr} in the time that there was`,
    facts: { unreachable: true, address: addr },
    written: fault.written,
    cause: fault,
  });
}

/** The fault of an attempt that followed a failed one: a deadline also says what went wrong before. */
export function afterFailure(fault: Fault, last: Fault | undefined): Fault {
  if (fault.kind !== "deadline" || last === undefined || last.kind === "deadline") return fault;
  return new Fault("deadline", {
    message: `${fault.message}; the attempt before failed: ${last.message}`,
    facts: { ...last.facts, ...fault.facts },
    written: fault.written,
    cause: last,
  });
}

/** How long the far end asks to wait before the call is repeated, milliseconds; 0 when it does not say. */
export function retryDelayOf(fault: Fault): number {
  if (!(fault.cause instanceof ConnectError)) return 0;
  const delay = fault.cause.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? 0 : Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1_000_000);
}

/** The code of a connection that failed before anything was sent, by whatever it is wrapped in. */
function connectionErrorOf(error: unknown): string | undefined {
  for (const cause of causesOf(error)) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (typeof code !== "string") continue;
    if (neverConnected.includes(code) || handshakeFailed.test(code)) return code;
    if (syscall === "connect" && whileConnecting.includes(code)) return code;
  }
  return undefined;
}

/** RFC 9113 §8.7: a stream that was refused was not processed. */
const wasRefused = (error: ConnectError): boolean =>
  error.code === Code.Unavailable && !error.isWireError && error.message.includes("REFUSED_STREAM");

/** The node, or something between, closed the connection: Node resets its streams with CANCEL then. */
const wasCut = (error: ConnectError): boolean =>
  (error.code === Code.Canceled &&
    error.rawMessage === "http/2 stream closed with error code CANCEL (0x8)") ||
  causesOf(error).some((cause) => (cause as NodeJS.ErrnoException).code === "ECONNRESET");
const cutMessage =
  "the node closed the connection before it answered; when it did so at once, it may not trust the client certificate, or something else listens at this address";
const otherProtocolMessage =
  "what answers at this address does not speak HTTP/2: a node does on the port of its --addr, and not on its ops port";

/** GOAWAY with INADEQUATE_SECURITY before any stream: our nodes send it to whoever speaks plaintext to their TLS. */
const isTooOpen = (error: unknown): boolean =>
  causesOf(error).some(
    (cause) =>
      (cause as NodeJS.ErrnoException).code === "ERR_HTTP2_SESSION_ERROR" &&
      cause.message.endsWith("error code 12"),
  );

/** What answers there does not speak HTTP/2, as a TLS port does not when called in plaintext. */
const isProtocolError = (error: unknown): boolean =>
  causesOf(error).some((cause) => (cause as NodeJS.ErrnoException).code === "ERR_HTTP2_ERROR");

/** The error, what caused it, what caused that; of several at once, all. Bounded. */
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
