/**
 * `POST /` appends a record, `GET /` reads one. Requests and responses are one line of JSON. The content type is ignored,
 * since curl sends that of a form. A browser that asks for a page is redirected to the dashboard.
 *
 * Both use the log `default`. A request that names a log, in its query or its body, is refused.
 */
import { Fault } from "../../fault.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import { decodeRecord, encodeRun, RecordCursor, type RecordLimits, walkRecords } from "../../log/mod.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { Offset, RecordRun } from "../../types.ts";
import { abortControllerOf } from "../calls/abort.ts";
import type { Call, CallTracker, ClientConnection } from "../calls/call-tracker.ts";
import { httpErrorOf } from "../calls/error-mapping.ts";
import { getPermission, postPermission } from "../calls/method-permissions.ts";
import { forwardHeader } from "../calls/request-headers.ts";
import { type AppendContext, appendFor } from "../methods/append.ts";
import { memoryWaitMs } from "../methods/read-admission.ts";
import { readOne } from "../methods/read-one.ts";
import { callMetaOf } from "./call-meta.ts";
import { type Exchange, headerOf, queryOf, quoted } from "./exchange/exchange.ts";
import { readBody } from "./exchange/read-body.ts";
import {
  type JsonBody,
  offsetOf,
  parseBody,
  parseOffset,
  recordOf,
  valueRecordOf,
} from "./produce-consume-json.ts";
import { consumeResponseLine } from "./record-json.ts";

export interface ProduceConsumeOptions extends AppendContext {
  readonly calls: CallTracker;
  readonly memory: MemoryBudget;
  /** Deadline of a request, in milliseconds: plain HTTP has none of its own. Default 30 s. */
  readonly responseMs?: number;
}

/** What a request of another route names a log with, and what a client may take for it. */
const logFields = ["log", "log_id", "logId"] as const;

export const responseMsDefault = 30_000;

const jsonHeaders = { "content-type": "application/json", "cache-control": "no-store" };

/** Serves `/`. */
export async function serveProduceConsume(
  exchange: Exchange,
  client: ClientConnection,
  options: ProduceConsumeOptions,
): Promise<void> {
  const { method } = exchange;
  if (method !== "GET" && method !== "POST") {
    const message = `${quoted(method)} is not supported for /, POST appends a record and GET reads one`;
    const body = JSON.stringify({ code: "unimplemented", message, written: "no" });
    exchange.send(405, { ...jsonHeaders, allow: "GET, POST" }, `${body}\n`);
    return;
  }
  if (isPageRequest(exchange)) {
    exchange.send(303, { location: "/ui/", "cache-control": "no-store" }, "");
    return;
  }
  let call: Call | undefined;
  try {
    const deadlineMs = options.clock.monotonicMs() + (options.responseMs ?? responseMsDefault);
    const meta = { ...callMetaOf(exchange), deadlineMs };
    call = options.calls.beginCall(method === "POST" ? postPermission : getPermission, client, meta);
    const line = method === "POST" ? await post(exchange, call, options) : await get(exchange, call, options);
    if (method === "POST") call.bytesOut += line.length;
    exchange.send(200, jsonHeaders, line);
    options.calls.endCall(call);
  } catch (reason) {
    if (call !== undefined) options.calls.endCall(call, reason);
    const { status, headers, body } = httpErrorOf(reason, leaderLocation(exchange.target, client, reason));
    exchange.send(status, headers, body);
  }
}

async function post(exchange: Exchange, call: Call, options: ProduceConsumeOptions): Promise<string> {
  rejectEncoding(exchange);
  if (exchange.target.includes("?"))
    rejectLog(exchange.method, Object.fromEntries(new URLSearchParams(queryOf(exchange))));
  const body = await readBody(exchange, options.requestBytesMax, options.memory);
  await workTurns(options.clock).next();
  const run = recordRunOf(body, options.recordLimits);
  const forward = headerOf(exchange, forwardHeader) !== "no";
  using abort = abortSignalOf(exchange, call, options);
  const { firstOffset } = await appendFor(options, call, { run }, forward, abort.signal);
  return `{"offset":${firstOffset}}\n`;
}

/**
 * Returns the record of the body of a `POST /`.
 * @throws Fault "bad-request", "bad-record", "too-large"
 */
export function recordRunOf(body: Buffer, limits: RecordLimits): RecordRun {
  const record = valueRecordOf(body) ?? recordOf(checkedBody("POST", body));
  return walkRecords(encodeRun([record]).bytes, limits);
}

async function get(exchange: Exchange, call: Call, options: ProduceConsumeOptions): Promise<string> {
  rejectEncoding(exchange);
  const offset = await requestedOffset(exchange, options);
  if (offset === undefined) {
    throw new Fault("bad-request", {
      message: 'no offset in the request. Send {"offset":0} as the body, or GET /?offset=0',
      facts: { field: "offset" },
    });
  }
  using abort = abortSignalOf(exchange, call, options);
  const plan = { start: { offset }, waitMs: 0, freshness: { deadlineMs: call.deadlineMs ?? 0 } };
  const { memory, clock } = options;
  using share = memory.share("out");
  const admission = { sink: exchange, memory, clock, signal: abort.signal, share, waitMs: memoryWaitMs };
  const { slice } = await readOne(options.log, plan, admission);
  const cursor = new RecordCursor(slice.frames, offset);
  cursor.next();
  const bytes = cursor.end - cursor.start;
  call.bytesOut += bytes;
  options.traffic.sent(1, bytes);
  const parts = decodeRecord(slice.frames, cursor.start, cursor.end);
  return consumeResponseLine({ ...parts, offset, timestampMs: cursor.timestampMs });
}

/**
 * Returns a signal that is aborted at the deadline, when the client disconnects and when the call is revoked.
 * @throws Fault if the call was revoked while its body was read
 */
export function abortSignalOf(
  exchange: Exchange,
  call: Call,
  { clock }: Pick<ProduceConsumeOptions, "clock">,
): Disposable & { readonly signal: AbortSignal } {
  call.requireAllowed();
  const end = abortControllerOf(call, exchange.signal);
  const leftMs = (call.deadlineMs ?? 0) - clock.monotonicMs();
  const timer = clock.after(leftMs, () => end.abort(new Fault("deadline")));
  return { signal: end.signal, [Symbol.dispose]: () => timer.cancel() };
}

/** Returns whether a browser asks for a page, unlike a program that asks for a record. */
function isPageRequest(exchange: Exchange): boolean {
  const { method, target, headers } = exchange;
  const hasNoBody = headers["content-length"] === undefined && headers["transfer-encoding"] === undefined;
  const accept = headerOf(exchange, "accept") ?? "";
  return method === "GET" && !target.includes("?") && hasNoBody && /\btext\/html\b/.test(accept);
}

/** Returns the offset of the query or of the body; undefined if there is neither. */
async function requestedOffset(
  exchange: Exchange,
  options: ProduceConsumeOptions,
): Promise<Offset | undefined> {
  const params = new URLSearchParams(queryOf(exchange));
  rejectLog(exchange.method, Object.fromEntries(params));
  const offsets = params.getAll("offset");
  const body = await readBody(exchange, options.requestBytesMax, options.memory);
  if (offsets.length > 1 || (offsets.length === 1 && body.length > 0)) {
    throw new Fault("bad-request", { message: "offset is given more than once", facts: { field: "offset" } });
  }
  if (offsets[0] !== undefined) return parseOffset(offsets[0]);
  if (body.length === 0) return undefined;
  await workTurns(options.clock).next();
  return offsetOf(checkedBody(exchange.method, body));
}

/** Parses the body. @throws as parseBody(); Fault "bad-request" if it names a log */
function checkedBody(method: string, bytes: Buffer): JsonBody {
  const body = parseBody(bytes);
  rejectLog(method, body.tree);
  return body;
}

/** @throws Fault "bad-request" for a parameter or a field that names a log. Others are ignored. */
function rejectLog(method: string, stated: Readonly<Record<string, unknown>>): void {
  const field = logFields.find((name) => Object.hasOwn(stated, name) && stated[name] !== null);
  if (field === undefined) return;
  const { log } = stated;
  const name = typeof log === "string" && /^[\w.-]+(\/[\w.-]+)*$/.test(log) ? log.slice(0, 255) : "NAME";
  const route = method === "POST" ? `POST /logs/${name}` : `GET /logs/${name}?offset=N`;
  throw new Fault("bad-request", {
    message: `${field} is not supported for /, which uses the log "default". For another log use ${route}`,
    facts: { field },
  });
}

/** @throws Fault "bad-request" for a body with an encoding */
export function rejectEncoding(exchange: Exchange): void {
  const encoding = headerOf(exchange, "content-encoding") ?? "identity";
  if (encoding !== "identity") {
    throw new Fault("bad-request", {
      message: `content-encoding ${quoted(encoding)} is not supported here, send the body without an encoding`,
    });
  }
}

/** Returns the URL of the same request at the leader, if the fault names the leader. */
export function leaderLocation(
  target: string,
  client: ClientConnection,
  reason: unknown,
): string | undefined {
  const address = reason instanceof Fault ? reason.facts.address : undefined;
  if (address === undefined) return undefined;
  return `${client.secure ? "https" : "http"}://${address}${target}`;
}
