/**
 * From an RPC's error back to a Fault. The ErrorInfo says which one it was, and whether the write happened; without
 * one nothing is known, except where no connection could be made at all. Pure.
 *
 * Never: guesses that something was not written.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Facts, Fault, type FaultKind, faultKinds } from "../fault.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";

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
  [Code.DeadlineExceeded]: "deadline",
  [Code.Canceled]: "canceled",
  [Code.DataLoss]: "corrupt",
};

/** Node's codes for a connection that was never made. */
const neverConnected = ["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN", "ETIMEDOUT"];

/** The fault that the far end meant. */
export function faultOf(reason: unknown): Fault {
  if (reason instanceof Fault) return reason;
  const error = ConnectError.from(reason);
  const [info] = error.findDetails(ErrorInfoSchema);
  const message = error.rawMessage;
  if (info?.domain === "tailrace") {
    const kind = info.reason.toLowerCase().replaceAll("_", "-") as FaultKind;
    const { written, ...facts } = info.metadata;
    return new Fault(faultKinds.includes(kind) ? kind : "unknown", {
      message,
      facts: facts as Facts,
      written: written === "no" ? "no" : "unknown",
      cause: error,
    });
  }
  const code = connectionErrorOf(error);
  if (code !== undefined) {
    return new Fault("unavailable", { message, facts: { unreachable: true, code }, cause: error });
  }
  const kind = kindsByCode[error.code] ?? "unknown";
  return new Fault(kind, { message, written: "unknown", cause: error });
}

/** The code of a connection that failed before anything was sent, by whatever it is wrapped in. */
function connectionErrorOf(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (typeof code === "string" && (neverConnected.includes(code) || isTlsCode(code))) return code;
    if (cause instanceof AggregateError && cause.errors.length > 0) {
      const inner = connectionErrorOf(cause.errors[0]);
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}

const isTlsCode = (code: string): boolean =>
  /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code) || code === "ERR_HTTP2_ERROR";
