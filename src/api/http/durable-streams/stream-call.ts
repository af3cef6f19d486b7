/** A request for one stream: its log, its position, and the responses to its faults. */
import { Fault } from "../../../fault.ts";
import type { Timer } from "../../../lib/time/clock.ts";
import type { Freshness, LogInfo, LogRef, NamedCommitLog } from "../../../types.ts";
import type { Call } from "../../calls/call-tracker.ts";
import { type HttpError, httpErrorOf } from "../../calls/error-mapping.ts";
import { appendOptionsOf } from "../../methods/append.ts";
import { keptForForks } from "../../methods/logs/create-log.ts";
import { logIdText, parseLogId } from "../../methods/logs/log-id.ts";
import type { Exchange, ResponseHeaders } from "../exchange/exchange.ts";
import type { BegunCall, OneLogRequest } from "../logs/log-call.ts";
import { freshnessOf, idHeader } from "../logs/log-call.ts";
import { guardHeaders, positionHeaders } from "./stream-headers.ts";

/** The shortest time between two looks at whether a stream that is followed needs a read. */
const noteMsMin = 250;

/** The reason of a refusal of If-Match. */
export const etagMismatch = "ETAG_MISMATCH";

export interface OpenStream {
  readonly log: NamedCommitLog;
  readonly info: LogInfo;
  readonly freshness: Freshness;
}

/**
 * Opens the log of the request on this node: the one that has the name now. If another log gets the name during the request,
 * what is asked of the opened one is refused.
 * @throws Fault "not-found"; "failed-precondition" if `log_id` states another one
 */
export async function openStream(
  request: OneLogRequest,
  begun: BegunCall,
  mode?: Freshness["mode"],
): Promise<OpenStream> {
  const { named } = request.options.logs;
  const freshness = { ...freshnessOf(begun), ...(mode === undefined ? {} : { mode }) };
  const log = named.open(statedLog(request));
  return { log, info: await log.info(freshness), freshness };
}

/**
 * A read extends the life of a stream. Resolves once that is replicated, which most reads need not, or has failed. Never rejects: the
 * read is answered all the same, also while the rows cannot be read.
 */
export async function noteRead(
  { options }: Pick<OneLogRequest, "options">,
  call: Call,
  info: LogInfo,
): Promise<void> {
  try {
    await options.logs.named.touch(refOf(info), appendOptionsOf(call, {}, true));
  } catch {
    // Rows that are damaged, or cannot be read now, are noted where they are read. The next read tries again.
  }
}

/**
 * A stream lives while it is followed, also if nothing is appended: notes a read again and again, until it is disposed. A read is
 * replicated once a quarter of the time to live is over, so looking at every quarter is soon enough.
 */
export function noteReads(request: Pick<OneLogRequest, "options">, call: Call, info: LogInfo): Disposable {
  const { clock } = request.options;
  const { ttlMs } = info.settings;
  if (ttlMs === undefined) return { [Symbol.dispose]: () => undefined };
  const everyMs = Math.max(noteMsMin, ttlMs / 4);
  const next = (): Timer =>
    clock.after(everyMs, () => {
      void noteRead(request, call, info);
      timer = next();
    });
  let timer = next();
  return { [Symbol.dispose]: () => timer.cancel() };
}

/** The log with this name, and with the id that the request states. @throws Fault "bad-request" */
export function statedLog({ name, params }: OneLogRequest): LogRef {
  const [logId, ...more] = params.getAll("log_id");
  if (more.length > 0) return badRequest("log_id is given more than once", "log_id");
  return logId === undefined ? { name } : { name, ...parseLogId(logId) };
}

export const refOf = ({ name, id, life }: LogInfo): LogRef => ({ name, id, life });

/** Headers of the response to a request for a log that was found. */
export const identityHeaders = ({ id, life }: Pick<LogInfo, "id" | "life">): ResponseHeaders =>
  idHeader(logIdText(life, id));

/**
 * Refuses what would change a request, and is not a part of this one. Ignored, the write would happen all the same.
 * @throws Fault "bad-request"
 */
export function rejectHeaders({ exchange }: OneLogRequest, names: readonly string[], instead: string): void {
  for (const name of names)
    if (exchange.headers[name.toLowerCase()] !== undefined)
      badRequest(`${name} is not a header of this request: ${instead}`, name);
}

/** The request, whose faults are answered as the protocol says. */
export const asStream = <R extends OneLogRequest>(request: R): R & Required<Pick<R, "refusal">> => ({
  ...request,
  refusal: (fault: Fault, error: HttpError) => refusalOf(request, fault, error),
});

/** Returns the response to a fault: its status, and the headers with which a client recovers. */
async function refusalOf(request: OneLogRequest, fault: Fault, error: HttpError): Promise<HttpError> {
  const { facts } = fault;
  if (facts.reason === "ANOTHER_LOG" && !request.params.has("log_id")) {
    // The request stated only the name. The id of the log that it found was stated here.
    const gone = noSuchStream(new Fault("not-found", { facts: { ...facts, reason: "NO_SUCH_LOG" } }));
    return refusalOf(request, gone, httpErrorOf(gone));
  }
  const headers: Record<string, string> = { ...error.headers, ...guardHeaders };
  if (facts.reason === "LOG_CLOSED")
    return { ...error, headers: { ...headers, ...(await endOfClosed(request)) } };
  const { body } = facts.reason === "NO_SUCH_LOG" ? httpErrorOf(noSuchStream(fault)) : error;
  return {
    status: statusOf(fault, error.status),
    headers: { ...headers, ...producerHeaders(fault) },
    body,
  };
}

/** How long a refusal waits until it is certain where the closed stream ends. */
const closedEndMs = 1_000;

/**
 * Where a closed stream ends. Nothing if that is not certain in time, or if another log has the name now: a reader takes the
 * position for the last one.
 */
async function endOfClosed(request: OneLogRequest): Promise<ResponseHeaders> {
  const { exchange, options } = request;
  const deadlineMs = options.clock.monotonicMs() + closedEndMs;
  try {
    const log = options.logs.named.open(statedLog(request));
    const { next, closed } = await log.info({ mode: "linearizable", signal: exchange.signal, deadlineMs });
    return closed ? positionHeaders(next, true) : {};
  } catch {
    return {};
  }
}

const noSuchStream = ({ kind, facts }: Fault): Fault =>
  new Fault(kind, {
    message: `there is no stream "${facts.name}". PUT of its URL creates it, with its Content-Type`,
    facts,
  });

function statusOf({ kind, facts }: Fault, status: number): number {
  if (kind === "producer-fenced") return 403;
  if (kind === "out-of-range") return isTrimmed(facts) ? 410 : 400;
  if (kind === "not-found" && facts.reason === keptForForks) return 410;
  if (facts.reason === etagMismatch) return 412;
  return status;
}

/** What a producer needs to go on. */
function producerHeaders({ kind, facts }: Fault): ResponseHeaders {
  if (kind === "producer-fenced" && facts.epoch !== undefined)
    return { "producer-epoch": String(facts.epoch) };
  if (kind !== "out-of-sequence") return {};
  return {
    "producer-expected-seq": String(facts.expected ?? 0),
    "producer-received-seq": String(facts.sequence ?? 0),
  };
}

const isTrimmed = ({ offset, lowest }: Fault["facts"]): boolean =>
  offset !== undefined && lowest !== undefined && offset < lowest;

/** The URL of the request as the client uses it, without its query. */
export function locationOf(exchange: Exchange, secure: boolean, path: string): string {
  return `${secure ? "https" : "http"}://${exchange.authority ?? "localhost"}${path}`;
}

/** @throws Fault "bad-request" */
export const badRequest = (message: string, field: string): never => {
  throw new Fault("bad-request", { message, facts: { field } });
};
