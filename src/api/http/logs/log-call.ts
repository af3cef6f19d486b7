/** One call of a route of named logs, from its permission to its response. */
import type { AccessControl } from "../../../access/mod.ts";
import { Fault } from "../../../fault.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import type { MemoryBudget } from "../../../memory/mod.ts";
import type { Freshness } from "../../../types.ts";
import type { Call, CallTracker, ClientConnection } from "../../calls/call-tracker.ts";
import { errorObject, type HttpError, httpErrorOf } from "../../calls/error-mapping.ts";
import { logRoutePermissions, type MethodPermission } from "../../calls/method-permissions.ts";
import type { AppendContext } from "../../methods/append.ts";
import { type LogDirectory, type LogInRequest, objectOfLog } from "../../methods/logs/log-directory.ts";
import { callMetaOf } from "../call-meta.ts";
import { ampersandHint } from "../exchange/ampersand-hint.ts";
import { type Exchange, headerOf, isBodyless, quoted, type ResponseHeaders } from "../exchange/exchange.ts";
import { abortSignalOf, leaderLocation, responseMsDefault } from "../http-produce-consume.ts";
import type { TailOptions } from "../http-tail.ts";

export interface LogRouteOptions extends AppendContext {
  readonly logs: LogDirectory;
  readonly calls: CallTracker;
  readonly access: Pick<AccessControl, "authorize">;
  readonly clock: Clock;
  readonly memory: MemoryBudget;
  readonly tail: TailOptions;
  /** Deadline of a request that is not a tail, in milliseconds. Default 30 s. */
  readonly responseMs?: number;
}

/** A request for one log, or for the list of logs. */
export interface LogRequest {
  readonly exchange: Exchange;
  readonly client: ClientConnection;
  readonly options: LogRouteOptions;
  readonly params: URLSearchParams;
  /** Changes the response to a fault. Default: that of `/logs`. */
  readonly refusal?: (fault: Fault, error: HttpError) => HttpError | Promise<HttpError>;
}

/** A request for one log. */
export interface OneLogRequest extends LogRequest {
  readonly name: string;
}

/** The log of a request, with the id that it states. */
export const logOf = ({ name, params }: OneLogRequest): LogInRequest => ({
  log: name,
  logId: params.get("log_id") ?? undefined,
});

export interface LogResponse {
  readonly status: number;
  readonly headers?: ResponseHeaders;
  readonly body?: string | Uint8Array;
}

/** A call that has begun. `signal` is aborted at the deadline, when the client disconnects and when the call is revoked. */
export interface BegunCall {
  readonly call: Call;
  readonly signal: AbortSignal;
}

/** How fresh the reads of a call are, and how long they wait. */
export const freshnessOf = ({ call, signal }: BegunCall): Freshness => ({
  signal,
  ...(call.deadlineMs === undefined ? {} : { deadlineMs: call.deadlineMs }),
});

/** The reasons of a refusal of If-None-Match: *, and of If-Match. */
export const logExists = "LOG_EXISTS";
const conditionReasons: readonly unknown[] = ["VERSION_MISMATCH", "CURSOR_VERSION_MISMATCH", logExists];
/** So is this one if the request has If-Match, which states the id of a log. */
const identityReasons: readonly unknown[] = ["ANOTHER_LOG", "ANOTHER_LIFE"];

/**
 * Serves one request: begins the call, reads its body, does the work and sends its response or its fault. The body is read
 * before the signal exists: a call that was revoked in the meantime does not start its work.
 */
export async function answer<Body>(
  { exchange, client, options, refusal }: LogRequest,
  permission: MethodPermission,
  name: string | undefined,
  read: () => Promise<Body>,
  work: (begun: BegunCall, body: Body) => Promise<LogResponse>,
): Promise<void> {
  const { calls, clock } = options;
  let call: Call | undefined;
  try {
    const deadlineMs = clock.monotonicMs() + (options.responseMs ?? responseMsDefault);
    const object = name === undefined ? undefined : objectOfLog(name);
    call = calls.beginCall(permission, client, { ...callMetaOf(exchange), deadlineMs, object });
    const body = await read();
    using abort = abortSignalOf(exchange, call, options);
    const response = await work({ call, signal: abort.signal }, body);
    call.bytesOut += sentBytes(exchange.method, response);
    exchange.send(response.status, response.headers ?? {}, response.body ?? "");
    calls.endCall(call);
  } catch (reason) {
    if (call !== undefined) calls.endCall(call, reason);
    const error = errorOf(exchange, reason, leaderLocation(exchange.target, client, reason));
    const { status, headers, body } = (await refusal?.(Fault.from(reason), error)) ?? error;
    exchange.send(status, headers, body);
  }
}

/** Bytes of the body that is sent. */
const sentBytes = (method: string, { status, body = "" }: LogResponse): number =>
  isBodyless(method, status) ? 0 : Buffer.byteLength(body);

export const noBody = (): Promise<undefined> => Promise.resolve(undefined);

/** Returns the error response. The refusal of a condition of the request is 412. */
function errorOf(
  exchange: Pick<Exchange, "headers">,
  reason: unknown,
  location: string | undefined,
): HttpError {
  const error = httpErrorOf(reason, location);
  const why = reason instanceof Fault ? reason.facts.reason : undefined;
  const isCondition =
    conditionReasons.includes(why) ||
    (headerOf(exchange, "if-match") !== undefined && identityReasons.includes(why));
  return isCondition ? { ...error, status: 412 } : error;
}

/** Answers a request whose name of a log is not one. */
export function refuseName(request: LogRequest, reason: unknown): Promise<void> {
  const refused = (): Promise<never> => Promise.reject(reason as Error);
  return answer(request, logRoutePermissions.misnamed, undefined, noBody, refused);
}

/** Refuses a method that a path does not have. */
export function refuseMethod(exchange: Exchange, path: string, allowed: string): void {
  const message = `${quoted(exchange.method)} is not supported for ${path}, only ${allowed}`;
  const body = JSON.stringify(errorObject(new Fault("unimplemented", { message })));
  const headers = { "content-type": "application/json", "cache-control": "no-store", allow: allowed };
  exchange.send(405, headers, `${body}\n`);
}

/**
 * `more` ends the message about a parameter that is not known.
 * @throws Fault "bad-request" for a parameter that is not known, or is given twice
 */
export function checkParams(params: URLSearchParams, known: readonly string[], more = ""): void {
  const allowed = known.length === 0 ? "the request takes none" : `only ${known.join(", ")}`;
  for (const name of params.keys()) {
    const reject = (message: string): never => {
      throw new Fault("bad-request", { message, facts: { field: quoted(name) } });
    };
    if (!known.includes(name))
      reject(`there is no parameter ${quoted(name)} here, ${allowed}${more}${ampersandHint(name)}`);
    if (params.getAll(name).length > 1) reject(`${name} is given more than once`);
  }
}

/** Returns whether a parameter without a value, or with true or 1, is there. @throws Fault "bad-request" */
export function isFlag(params: URLSearchParams, name: string): boolean {
  const text = params.get(name);
  if (text === null || text === "false" || text === "0") return false;
  if (text === "" || text === "true" || text === "1") return true;
  throw new Fault("bad-request", { message: `${name} must be true or false`, facts: { field: name } });
}

/** The header with the id of a log. `default` has none. */
export const idHeader = (logId: string | undefined): Readonly<Record<string, string>> =>
  logId === undefined ? {} : { "tailrace-log-id": logId };

export const jsonLine = (value: object): string => `${JSON.stringify(value)}\n`;
