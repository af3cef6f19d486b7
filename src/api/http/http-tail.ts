/**
 * `GET /tail`: the records of the log as they are appended, as server-sent events for EventSource, or as one JSON object
 * per line for curl. Records are read from the log only as fast as the client takes them.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { BatchSlice, CommitLog } from "../../types.ts";
import { signalOf } from "../calls/abort.ts";
import type { Call, CallMeta, CallTracker, ClientConnection } from "../calls/call-tracker.ts";
import { errorObject, httpErrorOf } from "../calls/error-mapping.ts";
import { type MethodPermission, tailPermission } from "../calls/method-permissions.ts";
import type { Traffic } from "../calls/traffic.ts";
import { followSlices, openRead } from "../methods/read.ts";
import { ReadHold } from "../methods/read-admission.ts";
import { ReadLimit } from "../methods/read-limit.ts";
import { callMetaOf } from "./call-meta.ts";
import { type Exchange, headerOf, queryOf, quoted, type ResponseHeaders } from "./exchange/exchange.ts";
import { parseTail, type TailRequest } from "./tail-request.ts";
import { type TailTextCache, type TextForm, textChunks } from "./tail-text.ts";

export interface TailOptions {
  readonly log: CommitLog;
  readonly clock: Clock;
  readonly calls: CallTracker;
  readonly traffic: Traffic;
  readonly memory: MemoryBudget;
  /** Text that several tails send. */
  readonly textCache: TailTextCache;
  /** Interval of the pings of an idle stream. */
  readonly pingMs: number;
}

/** The text of one of the two formats of the stream. */
export interface Form extends TextForm {
  readonly contentType: string;
  readonly opening: string;
  readonly ping: string;
  readonly closing: string;
  error(line: string): string;
}

const events: Form = {
  name: "events",
  contentType: "text/event-stream",
  opening: "retry: 2000\n\n",
  ping: ": ping\n\n",
  closing: "event: end\ndata: {}\n\n",
  record: (offset, line) => `id: ${offset}\ndata: ${line}\n\n`,
  error: (line) => `event: error\ndata: ${line}\n\n`,
};

const lines: Form = {
  name: "lines",
  contentType: "application/x-ndjson",
  opening: "",
  ping: "\n",
  closing: "",
  record: (_offset, line) => `${line}\n`,
  error: (line) => `{"error":${line}}\n`,
};

export const tailForms = { events, lines } as const;

/** Approximate size of one read. */
const sliceBytes = 64 * 1024;

/** The tail that a request asks for. */
export interface OpenTail {
  readonly log: CommitLog;
  readonly asked: TailRequest;
  /** Stop at the end that the log has when the tail begins. */
  readonly stopAtEnd: boolean;
  /** Sent with the others. */
  readonly headers: ResponseHeaders;
}

/** The call of a tail, and how it begins. */
export interface TailCall {
  readonly permission: MethodPermission;
  readonly meta: CallMeta;
  readonly form: Form;
  /** Reads the request. What it throws is the response. */
  open(call: Call): OpenTail | Promise<OpenTail>;
}

/** Serves `/tail`. */
export async function serveTail(
  exchange: Exchange,
  client: ClientConnection,
  options: TailOptions,
): Promise<void> {
  if (exchange.method !== "GET") {
    const message = `${quoted(exchange.method)} is not supported for /tail, use GET`;
    const body = `${JSON.stringify({ code: "unimplemented", message, written: "no" })}\n`;
    exchange.send(405, { "content-type": "application/json", allow: "GET" }, body);
    return;
  }
  await runTail(exchange, client, options, {
    permission: tailPermission,
    meta: callMetaOf(exchange),
    form: tailFormOf(exchange),
    open: () => ({
      log: options.log,
      asked: parseTail(queryOf(exchange), headerOf(exchange, "last-event-id")),
      stopAtEnd: false,
      headers: {},
    }),
  });
}

/** Returns the form that the client of `/tail` accepts. */
export const tailFormOf = (exchange: Exchange): Form =>
  /\bapplication\/x-ndjson\b/.test(headerOf(exchange, "accept") ?? "") ? tailForms.lines : tailForms.events;

/** Serves one tail, from the begin of its call to the end of the response. */
export async function runTail(
  exchange: Exchange,
  client: ClientConnection,
  options: TailOptions,
  { permission, meta, form, open }: TailCall,
): Promise<void> {
  const { calls, traffic } = options;
  let call: Call | undefined;
  try {
    call = calls.beginCall(permission, client, meta);
    const tail = await open(call);
    const signal = signalOf(call, exchange.signal);
    exchange.respond(200, {
      "content-type": form.contentType,
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      ...tail.headers,
    });
    if (form.opening !== "") void exchange.write(Buffer.from(form.opening));
    traffic.tails++;
    try {
      await stream(exchange, form, tail, call, signal, options);
    } finally {
      traffic.tails--;
    }
    endWith(exchange, form.closing);
    calls.endCall(call);
  } catch (reason) {
    const fault = Fault.from(reason);
    if (call !== undefined) calls.endCall(call, fault);
    if (exchange.headersSent) endWith(exchange, form.error(JSON.stringify(errorObject(fault))));
    else {
      const { status, headers, body } = httpErrorOf(fault);
      exchange.send(status, headers, body);
    }
  }
}

function endWith(exchange: Exchange, text: string): void {
  if (text !== "") void exchange.write(Buffer.from(text));
  exchange.end();
}

async function stream(
  exchange: Exchange,
  form: Form,
  { log, asked, stopAtEnd }: OpenTail,
  call: Call,
  signal: AbortSignal,
  { clock, traffic, pingMs, memory, textCache }: TailOptions,
): Promise<void> {
  const limits = { recordsMax: asked.limit, bytesMax: 0, endOffset: undefined };
  const plan = { start: asked.start, limits, stopAtEnd, freshness: {} };
  const read = await openRead(log, plan, signal);
  const limit = new ReadLimit(read.limits);
  const turns = workTurns(clock);
  const hold = new ReadHold(memory, { keeps: false, cut: () => exchange.destroy() });
  const heartbeatMs = pingMs;
  const send = async (slice: BatchSlice): Promise<boolean> => {
    const isShared = asked.limit === 0 && !stopAtEnd && read.from <= slice.firstOffset;
    const chunks = isShared
      ? textCache.chunks(slice, form, asked.format)
      : textChunks(slice, read.from, limit, form, asked.format);
    for (const { bytes, records } of chunks) {
      call.bytesOut += bytes.length;
      traffic.sent(records, bytes.length);
      const written = exchange.write(bytes);
      hold.rendered();
      if (!(await written)) return false;
      hold.progress(bytes.length);
      const later = turns.next();
      if (later !== undefined) await later;
    }
    return !limit.isSpent;
  };
  const options = { clock, signal, heartbeatMs, sliceBytes, sink: exchange, memory, hold };
  await followSlices(read, options, async (event) => {
    if (event === "caught-up") return true;
    return event === "heartbeat" ? exchange.write(Buffer.from(form.ping)) : send(event);
  });
}
