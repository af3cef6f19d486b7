/**
 * Maps faults to what clients receive: a Connect code with google.rpc details, or an HTTP status with one line of JSON.
 * Both tables are exhaustive: a new kind of fault does not compile without a code and a status. The cause of a fault is
 * logged but not sent.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { Fault, type FaultKind } from "../../fault.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  LocalizedMessageSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";

/** The domain of every ErrorInfo. */
const errorDomain = "tailrace";

const codes: Readonly<Record<FaultKind, Code>> = {
  "bad-request": Code.InvalidArgument,
  "bad-record": Code.InvalidArgument,
  // Required by the specifications of gRPC and Connect.
  "unexpected-compression": Code.Internal,
  "too-large": Code.ResourceExhausted,
  "out-of-range": Code.OutOfRange,
  "offset-mismatch": Code.Aborted,
  "out-of-sequence": Code.FailedPrecondition,
  "sequence-too-old": Code.FailedPrecondition,
  "producer-fenced": Code.FailedPrecondition,
  "unknown-producer": Code.FailedPrecondition,
  "too-many-producers": Code.ResourceExhausted,
  unauthenticated: Code.Unauthenticated,
  "permission-denied": Code.PermissionDenied,
  "not-found": Code.NotFound,
  "already-exists": Code.AlreadyExists,
  "failed-precondition": Code.FailedPrecondition,
  unimplemented: Code.Unimplemented,
  "not-leader": Code.Unavailable,
  unavailable: Code.Unavailable,
  unreachable: Code.Unavailable,
  overloaded: Code.ResourceExhausted,
  "quota-exceeded": Code.ResourceExhausted,
  "disk-full": Code.ResourceExhausted,
  "disk-busy": Code.Unavailable,
  deadline: Code.DeadlineExceeded,
  canceled: Code.Canceled,
  // Not "unavailable": gRPC clients retry that by themselves, and the write may have happened.
  interrupted: Code.DeadlineExceeded,
  unknown: Code.Unknown,
  "disk-failed": Code.Unavailable,
  corrupt: Code.DataLoss,
  "foreign-directory": Code.FailedPrecondition,
  "unsupported-version": Code.FailedPrecondition,
  locked: Code.FailedPrecondition,
  config: Code.InvalidArgument,
};

const statuses: Readonly<Record<FaultKind, number>> = {
  "bad-request": 400,
  "bad-record": 400,
  "unexpected-compression": 400,
  "too-large": 413,
  "out-of-range": 404,
  "offset-mismatch": 409,
  "out-of-sequence": 409,
  "sequence-too-old": 409,
  "producer-fenced": 409,
  "unknown-producer": 409,
  "too-many-producers": 429,
  unauthenticated: 401,
  "permission-denied": 403,
  "not-found": 404,
  "already-exists": 409,
  "failed-precondition": 409,
  unimplemented: 501,
  "not-leader": 307,
  unavailable: 503,
  unreachable: 503,
  overloaded: 429,
  "quota-exceeded": 429,
  "disk-full": 507,
  "disk-busy": 503,
  deadline: 504,
  canceled: 499,
  interrupted: 504,
  unknown: 500,
  "disk-failed": 503,
  corrupt: 500,
  "foreign-directory": 500,
  "unsupported-version": 500,
  locked: 500,
  config: 500,
};

/** How long a client should wait before it retries, in milliseconds. */
const retryDelayMs: Readonly<Partial<Record<FaultKind, number>>> = {
  "not-leader": 50,
  unavailable: 250,
  overloaded: 500,
  "disk-full": 5_000,
  "disk-busy": 500,
};

/**
 * Returns the code of a fault. `unavailable` always means that nothing was written, since clients retry it by themselves.
 * A write that was cut off by a change of the leader or a lost connection to it is `deadline_exceeded`, which tells a
 * gRPC client that the write may have happened.
 */
export function codeOf(fault: Fault): Code {
  if (isCutOff(fault)) return Code.DeadlineExceeded;
  const code = codes[fault.kind];
  return code === Code.Unavailable && fault.written === "unknown" ? Code.Unknown : code;
}

/** The write was in flight and its outcome is unknown, without a bug or a failed disk. */
function isCutOff({ kind, written, unexpected }: Fault): boolean {
  if (written === "no" || unexpected) return false;
  return kind === "unknown" || kind === "unavailable" || kind === "not-leader";
}

/** Returns a code as Connect spells it: `out_of_range`. */
export function codeName(code: Code): string {
  return Code[code].replace(/(?!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

/** `out-of-range` → `OUT_OF_RANGE`: ErrorInfo.reason. */
function reasonOf(kind: FaultKind): string {
  return kind.toUpperCase().replaceAll("-", "_");
}

/** Returns ErrorInfo.metadata: `written` and the facts of the fault. */
function metadataOf(fault: Fault): Record<string, string> {
  const metadata: Record<string, string> = { written: fault.written };
  for (const [name, fact] of Object.entries(fault.facts)) metadata[name] = String(fact);
  return metadata;
}

/** Returns the error for RPC clients. Its cause is for the log and is not sent. */
export function connectErrorOf(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  const fault = Fault.from(reason);
  const details: ConstructorParameters<typeof ConnectError>[3] = [
    {
      desc: ErrorInfoSchema,
      value: { reason: reasonOf(fault.kind), domain: errorDomain, metadata: metadataOf(fault) },
    },
  ];
  if (codes[fault.kind] === Code.InvalidArgument) {
    const violation = { field: fault.facts.field ?? "", description: fault.message };
    details.push({ desc: BadRequestSchema, value: { fieldViolations: [violation] } });
  }
  const delayMs = fault.retry ? retryDelayMs[fault.kind] : undefined;
  if (delayMs !== undefined) {
    const retryDelay = { seconds: BigInt(Math.floor(delayMs / 1000)), nanos: (delayMs % 1000) * 1_000_000 };
    details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  details.push({ desc: LocalizedMessageSchema, value: { locale: "en-US", message: fault.message } });
  return new ConnectError(fault.message, codeOf(fault), undefined, details, fault.cause ?? fault);
}

/** An error response of plain HTTP. */
export interface HttpError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** One line of JSON with its line end. */
  readonly body: string;
}

/** Returns a fault as a JSON object: code, message, written, then the facts. */
export function errorObject(fault: Fault): Record<string, string | number | boolean> {
  return { code: codeName(codeOf(fault)), message: fault.message, written: fault.written, ...fault.facts };
}

/** Returns the error response of an HTTP route. `location` is the URL of the same request at the leader, if known. */
export function httpErrorOf(reason: unknown, location?: string): HttpError {
  const fault = Fault.from(reason);
  const headers: Record<string, string> = { "content-type": "application/json", "cache-control": "no-store" };
  let status = isCutOff(fault) ? statuses.deadline : statuses[fault.kind];
  if (status === 307) {
    if (location === undefined) status = 503;
    else headers["location"] = location;
  }
  if (fault.written === "unknown" && status === 503) status = 500;
  const delayMs = fault.retry ? retryDelayMs[fault.kind] : undefined;
  // A client follows a redirect at once.
  if (delayMs !== undefined && status !== 307) headers["retry-after"] = String(Math.ceil(delayMs / 1000));
  return { status, headers, body: `${JSON.stringify(errorObject(fault))}\n` };
}
