/**
 * `GET /tail`: the records of the log as they are appended, as server-sent events for EventSource, or as one JSON object
 * per line for curl. Records are read from the log only as fast as the client takes them.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { BatchSlice, CommitLog } from "../../types.ts";
import { signalOf } from "../calls/abort.ts";
import type { Call, CallMeta, CallTracker, ClientConnection } from "../calls/call-tracker.ts";
import { errorObject, type HttpError, httpErrorOf } from "../calls/error-mapping.ts";
import { type MethodPermission, tailPermission } from "../calls/method-permissions.ts";
import type { Traffic } from "../calls/traffic.ts";
import { followSlices, type OpenRead, openRead, type ReadPlan } from "../methods/read.ts";
import { ReadHold } from "../methods/read-admission.ts";
import { ReadLimit } from "../methods/read-limit.ts";
import { filteredRead, filterOf, markerMs } from "../methods/tails/filtered-read.ts";
import { pacerOf } from "../methods/tails/pacer.ts";
import { callMetaOf } from "./call-meta.ts";
import type { StreamEventCache } from "./durable-streams/event-text.ts";
import { type Exchange, headerOf, queryOf, quoted, type ResponseHeaders } from "./exchange/exchange.ts";
import { eventId, parseTail, type TailRequest } from "./tail-request.ts";
import { type TailTextCache, type TextChunk, type TextForm, textChunks } from "./tails/tail-text.ts";
import { TextSender } from "./tails/text-sender.ts";

export interface TailOptions {
  readonly log: CommitLog;
  readonly clock: Clock;
  readonly calls: CallTracker;
  readonly traffic: Traffic;
  readonly memory: MemoryBudget;
  /** Text that several tails send. */
  readonly textCache: TailTextCache;
  /** The same for readers of streams. */
  readonly streamEvents: StreamEventCache;
  /** Interval of the pings of an idle stream. */
  readonly pingMs: number;
  /** Time of the filter of one request, in milliseconds. Default 10 s. */
  readonly filterMs?: number | undefined;
}

/** The text of one of the two formats of the stream. */
export interface Form extends TextForm {
  readonly contentType: string;
  /**
   * The start of a read is found before the response begins: a start that is not in the log is a status. Not for events: an
   * EventSource does not show a page the body of an error.
   */
  readonly opensFirst: boolean;
  readonly opening: string;
  readonly ping: string;
  readonly closing: string;
  /** An event that is no record. With an id, a reader resumes there. */
  notice(name: string, line: string, id?: string): string;
}

const events: Form = {
  name: "events",
  contentType: "text/event-stream",
  opensFirst: false,
  opening: "retry: 2000\n\n",
  ping: ": ping\n\n",
  closing: "event: end\ndata: {}\n\n",
  event: (id, lines) => `id: ${id}\n${lines.map((line) => `data: ${line}\n`).join("")}\n`,
  notice: (name, line, id) => `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${line}\n\n`,
};

const lines: Form = {
  name: "lines",
  contentType: "application/x-ndjson",
  opensFirst: true,
  opening: "",
  ping: "\n",
  closing: "",
  event: (_id, all) => `${all.join("\n")}\n`,
  notice: (name, line) => `{"${name}":${line}}\n`,
};

export const tailForms = { events, lines } as const;

/** Approximate size of one read. */
const sliceBytes = 64 * 1024;

/** The tail that a request asks for. */
export interface OpenTail {
  readonly log: CommitLog;
  /** The id of a named log, which is a part of the ids of events. */
  readonly logId?: string | undefined;
  readonly asked: TailRequest;
  /** Stop at the end that the log has when the tail begins. */
  readonly stopAtEnd: boolean;
  /** Sent with the others. */
  readonly headers: ResponseHeaders;
}

/** The call of a tail, and how it begins. */
export interface StreamCall<Opened> {
  readonly permission: MethodPermission;
  readonly meta: CallMeta;
  readonly form: Form;
  /** Reads the request. What it throws is the response. */
  open(call: Call): Opened | Promise<Opened>;
  /** Changes the response to a fault before the first event. */
  readonly refusal?: (fault: Fault, error: HttpError) => HttpError | Promise<HttpError>;
}

export type TailCall = StreamCall<OpenTail>;

/** A response that can begin. */
export interface OpenStream {
  readonly headers: ResponseHeaders;
  /** Sends it. */
  send(call: Call, signal: AbortSignal): Promise<void>;
  /** Releases what open() has opened. It is called once, also if nothing was sent. */
  close?(): void;
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
export function runTail(
  exchange: Exchange,
  client: ClientConnection,
  options: TailOptions,
  tailCall: TailCall,
): Promise<void> {
  return runStream(exchange, client, options, {
    ...tailCall,
    async open(call) {
      const { form } = tailCall;
      const { log, logId, asked, stopAtEnd, headers } = await tailCall.open(call);
      if (logId === undefined && asked.seenLogId !== undefined) {
        const message = `Last-Event-ID is an event of the named log ${asked.seenLogId}, not of default`;
        throw new Fault("bad-request", { message, facts: { field: "Last-Event-ID" } });
      }
      const limits = { recordsMax: asked.limit, bytesMax: 0, endOffset: undefined };
      const plan: ReadPlan = { start: asked.start, limits, stopAtEnd, freshness: {} };
      const filter = filterOf(asked.filter);
      const opened = form.opensFirst ? await openRead(log, plan, signalOf(call, exchange.signal)) : undefined;
      return {
        headers,
        async send(begun, signal) {
          const found = opened ?? (await openRead(log, plan, signal));
          const read = filteredRead(found, filter, options);
          options.calls.beginTail(begun, { of: read.tail });
          await stream(exchange, form, { log, logId, asked, stopAtEnd, read }, begun, signal, options);
        },
        close: () => opened?.tail[Symbol.dispose](),
      };
    },
  });
}

/** Serves one stream in the same way. */
export async function runStream(
  exchange: Exchange,
  client: ClientConnection,
  options: TailOptions,
  { permission, meta, form, open, refusal }: StreamCall<OpenStream>,
): Promise<void> {
  const { calls, traffic } = options;
  let call: Call | undefined;
  try {
    call = calls.beginCall(permission, client, meta);
    const tail = await open(call);
    traffic.tails++;
    try {
      exchange.respond(200, {
        "content-type": form.contentType,
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        ...tail.headers,
      });
      if (form.opening !== "") void exchange.write(Buffer.from(form.opening));
      await tail.send(call, signalOf(call, exchange.signal));
    } finally {
      traffic.tails--;
      tail.close?.();
    }
    endWith(exchange, form.closing);
    calls.endCall(call);
  } catch (reason) {
    const fault = Fault.from(reason);
    if (call !== undefined) calls.endCall(call, fault);
    if (exchange.headersSent) endWith(exchange, form.notice("error", JSON.stringify(errorObject(fault))));
    else {
      const error = httpErrorOf(fault);
      const { status, headers, body } = (await refusal?.(fault, error)) ?? error;
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
  { log, logId, asked, stopAtEnd, read }: Omit<OpenTail, "headers"> & { readonly read: OpenRead },
  call: Call,
  signal: AbortSignal,
  { clock, traffic, pingMs, memory, textCache }: TailOptions,
): Promise<void> {
  const limit = new ReadLimit(read.limits);
  const isShared = (slice: BatchSlice): boolean =>
    asked.limit === 0 && !stopAtEnd && read.filtered === undefined && read.from <= slice.firstOffset;
  const hold = new ReadHold(memory, { keeps: false, cut: () => exchange.destroy(), shares: isShared });
  const heartbeatMs = markerMs(pingMs, read.filtered !== undefined);
  const text = { form, format: asked.format, batch: asked.batch ?? 1, logId };
  const sender = new TextSender({ exchange, call, traffic, clock, hold });
  const ping = async (): Promise<boolean> => {
    if (read.filtered !== undefined) return sendPosition("position");
    if (asked.batch === undefined) return exchange.write(Buffer.from(form.ping));
    const { next: end } = await log.bounds({ mode: "any" });
    const position = JSON.stringify({ next: read.tail.position, end });
    return exchange.write(Buffer.from(form.notice("position", position)));
  };
  /** A reader with a filter resumes at the position, also an EventSource. */
  const sendPosition = (name: "position" | "suspended"): boolean | Promise<boolean> => {
    const { position: next, end } = read.tail;
    const skipped = read.filtered?.skipped ?? 0;
    const line = JSON.stringify({ next, end, ...(skipped === 0 ? {} : { skipped }) });
    const id = next === 0 ? undefined : eventId(next - 1, logId);
    return exchange.write(Buffer.from(form.notice(name, line, id)));
  };
  const chunksOf = (slice: BatchSlice): Generator<TextChunk> =>
    isShared(slice) ? textCache.chunks(slice, text) : textChunks(slice, read.from, limit, text);
  const isNotSpent = (isOpen: boolean): boolean => isOpen && !limit.isSpent;
  // Without batch=, the stream is byte for byte what it was before there were positions.
  const beatsBehind = asked.batch !== undefined || read.filtered !== undefined;
  const options = { clock, signal, heartbeatMs, beatsBehind, sliceBytes, sink: exchange, memory, hold };
  /** The last event that was sent is the position. */
  let isPlaced = false;
  await followSlices(read, { ...options, pacer: pacerOf(clock) }, (event) => {
    isPlaced = event === "suspended" || event === "caught-up";
    if (event === "suspended") return sendPosition(event);
    if (event === "caught-up") return read.filtered === undefined || sendPosition("position");
    if (event === "heartbeat") return ping();
    const sent = sender.send(chunksOf(event));
    return sent instanceof Promise ? sent.then(isNotSpent) : isNotSpent(sent);
  });
  if (read.filtered !== undefined && !isPlaced) await sendPosition("position");
}
