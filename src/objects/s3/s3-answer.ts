/** What an answer of an S3 server means: done, to be repeated, or refused. Pure. */
import { Fault } from "../../fault.ts";
import { elementOf } from "./s3-xml.ts";

export interface S3Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
}

export type Verdict =
  | { readonly kind: "done" }
  /** Try again after a pause. */
  | { readonly kind: "retry"; readonly fault: Fault }
  /** The clock of this machine differs from the server's by too much: sign with the server's. */
  | { readonly kind: "skew"; readonly fault: Fault }
  /** The credentials have expired: read them again. */
  | { readonly kind: "expired"; readonly fault: Fault }
  | { readonly kind: "refused"; readonly fault: Fault };

const passing = new Set([
  ...["InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "OperationAborted", "Throttling"],
  ...["ConditionalRequestConflict", "TooManyRequests", "RequestLimitExceeded"],
  // The body was damaged on its way.
  ...["BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "IncompleteBody"],
]);
const skewed = new Set(["RequestTimeTooSkewed", "RequestExpired"]);
const missing = new Set(["", "NoSuchKey", "NoSuchUpload", "NotFound"]);
const denied = new Set(["InvalidAccessKeyId", "SignatureDoesNotMatch", "XAdminUserNotFound", "AccessDenied"]);
const expired = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"]);

export interface Addressee {
  /** For messages: `s3://bucket/prefix`. */
  readonly url: string;
  readonly bucket: string;
  readonly host: string;
}

/** `accepted`: statuses besides 2xx that the caller understands. */
export function verdictOf(answer: S3Answer, accepted: readonly number[], at: Addressee): Verdict {
  const { status } = answer;
  const text = isXml(answer) ? new TextDecoder().decode(answer.body.subarray(0, 4096)) : "";
  const hasError = /<Error[\s>]/.test(text.slice(0, 400));
  // The end of an upload can be refused after the head of the answer was sent.
  if (status >= 200 && status < 300 && !hasError) return { kind: "done" };
  const code = hasError ? (elementOf(text, "Code") ?? "") : "";
  const fault = faultOf(status, code, text, at);
  if (skewed.has(code)) return { kind: "skew", fault };
  if (expired.has(code)) return { kind: "expired", fault };
  if (passing.has(code) || status >= 500 || status === 429 || status === 408) return { kind: "retry", fault };
  // A bucket that does not exist, or an unknown key of access, is never what the caller expects.
  if (accepted.includes(status) && (status !== 404 || missing.has(code))) return { kind: "done" };
  return { kind: "refused", fault };
}

/** True for a fault of a server that cannot do what was asked (501, 405). */
const cannotDo = (status: number, code: string): boolean =>
  status === 501 || status === 405 || code === "NotImplemented" || code === "MethodNotAllowed";

function faultOf(status: number, code: string, text: string, { url, bucket, host }: Addressee): Fault {
  const said = printable(elementOf(text, "Message") ?? "").slice(0, 300);
  const what = `${code === "" ? `status ${status}` : printable(code).slice(0, 60)}${said === "" ? "" : ` (${said})`}`;
  const facts = { code: code === "" ? String(status) : printable(code).slice(0, 60) };
  if (code === "NoSuchBucket")
    return new Fault("not-found", { message: `the bucket ${bucket} does not exist at ${host}`, facts });
  if (status === 404 && !denied.has(code))
    return new Fault("not-found", { message: `${url}: not found: ${what}`, facts });
  if (skewed.has(code))
    return new Fault("failed-precondition", {
      message: `${url}: the clock of this machine and that of ${host} differ by too much: ${what}`,
      facts,
    });
  const region = elementOf(text, "Region");
  if (status === 301 || status === 307 || code === "AuthorizationHeaderMalformed") {
    const where = region === undefined ? "another region" : `the region ${printable(region).slice(0, 40)}`;
    return new Fault("config", {
      message: `the bucket ${bucket} is in ${where}: set AWS_REGION: ${what}`,
      facts,
    });
  }
  if (status === 401 || status === 403 || denied.has(code) || expired.has(code))
    return new Fault("permission-denied", { message: `${url}: ${host} refuses the request: ${what}`, facts });
  if (cannotDo(status, code))
    return new Fault("unimplemented", { message: `${url}: ${host} does not support this: ${what}`, facts });
  if (status >= 500 || status === 429 || status === 408 || passing.has(code))
    return new Fault("unavailable", { message: `${url}: ${host} failed: ${what}`, facts });
  return new Fault("failed-precondition", { message: `${url}: ${host} refuses the request: ${what}`, facts });
}

const isXml = ({ headers, body }: S3Answer): boolean =>
  body.length > 0 && (/xml/.test(String(headers["content-type"] ?? "")) || body[0] === 0x3c);

const printable = (text: string): string => text.replace(/\p{Cc}/gu, " ");
