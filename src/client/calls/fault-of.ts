/**
 * Turns the error of an RPC into a Fault. The ErrorInfo of the error names the kind and says whether the write
 * happened. Without an ErrorInfo the outcome of a write is unknown, except if no connection was made or the node
 * refused the stream.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Facts, Fault, type FaultKind, faultKinds } from "../../fault.ts";
import { factsFromText } from "../../fault-facts.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import {
  connectionErrorOf,
  connectionMessage,
  handshakeFaultOf,
  isConnectionClosed,
  isNotHttp2,
  isRefusedStream,
  isTlsRequired,
} from "./connection-errors.ts";

/** A read writes nothing, whatever happens. A write can have an unknown outcome. */
export type Effect = "read" | "write";

const domain = "tailrace";

/** The kinds of errors without an ErrorInfo of ours. */
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

const closedMessage =
  "the connection was closed before the response was complete: the node ended or does not trust the client certificate, or another program listens at this address";
const notHttp2Message =
  "the server at this address does not speak HTTP/2; a node does so on the port of its --addr, not on its ops port";

/** Returns the fault that the node meant. `effect` is what the call does; default "write". */
export function faultOf(reason: unknown, effect: Effect = "write"): Fault {
  if (reason instanceof Fault) return reason;
  const error = ConnectError.from(reason);
  return errorInfoFault(error, effect) ?? unsentFault(error) ?? otherFault(error, effect);
}

function errorInfoFault(error: ConnectError, effect: Effect): Fault | undefined {
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === domain);
  if (info === undefined) return undefined;
  const kind = info.reason.toLowerCase().replaceAll("_", "-") as FaultKind;
  const { written, ...metadata } = info.metadata;
  return new Fault(faultKinds.includes(kind) ? kind : "unknown", {
    message: error.rawMessage,
    facts: factsFromText(metadata),
    written: written === "no" || effect === "read" ? "no" : "unknown",
    cause: error,
  });
}

/** The fault of a request that the node certainly did not process; undefined if it may have. */
function unsentFault(error: ConnectError): Fault | undefined {
  const tls = handshakeFaultOf(error);
  if (tls !== undefined) {
    const facts: Facts = tls.kind === "unavailable" ? { unreachable: true } : {};
    return new Fault(tls.kind, { message: tls.message, facts, cause: error });
  }
  const code = connectionErrorOf(error);
  if (code !== undefined) {
    return new Fault("unavailable", {
      message: connectionMessage(error.rawMessage, code),
      facts: { unreachable: true, code },
      cause: error,
    });
  }
  if (isTlsRequired(error)) {
    return new Fault("unavailable", {
      message:
        "the node requires TLS, and this client uses plaintext: it needs certificates (on the command line --profile, or --tls-ca-file, --tls-cert-file and --tls-key-file)",
      facts: { unreachable: true },
      cause: error,
    });
  }
  if (!isRefusedStream(error)) return undefined;
  return new Fault("unavailable", { message: error.rawMessage, cause: error });
}

function otherFault(error: ConnectError, effect: Effect): Fault {
  const isOtherProtocol = isNotHttp2(error);
  const message = isConnectionClosed(error) ? closedMessage : error.rawMessage;
  return new Fault(kindsByCode[error.code] ?? "unknown", {
    message: isOtherProtocol ? notHttp2Message : message,
    facts: isOtherProtocol ? { unreachable: true } : {},
    written: effect === "read" ? "no" : "unknown",
    cause: error,
  });
}

/** The milliseconds to wait that the node's RetryInfo asks for; 0 if it does not ask. */
export function retryDelayOf(fault: Fault): number {
  if (!(fault.cause instanceof ConnectError)) return 0;
  const delay = fault.cause.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? 0 : Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1_000_000);
}
