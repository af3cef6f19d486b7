/**
 * `POST /v1/stream/NAME`: appends to a stream, closes it, or both at once.
 *
 *   Content-Type      that of the stream; not looked at without a body
 *   Stream-Closed     true: no append follows this one; the body may be empty
 *   Stream-Seq        must be greater, as bytes, than that of every append to the stream before
 *   Producer-Id, Producer-Epoch, Producer-Seq         all three: a repeated request is written once
 *   Tailrace-Expected-Offset       nothing is written unless this is the end of the stream
 *   ?log_id=          nothing is written unless the stream is this log
 */
import { Fault } from "../../../fault.ts";
import type { StreamHead } from "../../../lib/stream-head.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import { encodeRun, walkRecords } from "../../../log/mod.ts";
import type { Appended, Freshness, LogInfo, Offset, RecordRun } from "../../../types.ts";
import { unlessAborted } from "../../calls/abort.ts";
import { streamRoutePermissions } from "../../calls/method-permissions.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { appendTo } from "../../methods/append.ts";
import { headerOf, type ResponseHeaders } from "../exchange/exchange.ts";
import { readBody } from "../exchange/read-body.ts";
import { rejectEncoding } from "../http-produce-consume.ts";
import { expectedOffsetOf } from "../logs/append-headers.ts";
import { answer, type BegunCall, type LogResponse, type OneLogRequest } from "../logs/log-call.ts";
import {
  asStream,
  identityHeaders,
  type OpenStream,
  openStream,
  refOf,
  rejectHeaders,
} from "./stream-call.ts";
import { guardHeaders, isTrue, positionHeaders } from "./stream-headers.ts";
import { messagesIn } from "./stream-json.ts";
import { orderOf, producerOf } from "./stream-producer.ts";
import { checkedContentType, formOf, isSameType, typeOfStream } from "./stream-type.ts";

/** Messages that are encoded in one turn of the event loop. */
const turnMessages = 512;
/** Conditions and parts of an append to `/logs`. */
const otherDoors = [
  "If-Match",
  "If-None-Match",
  "Tailrace-Producer",
  "Tailrace-Key",
  "Tailrace-Key-Base64",
] as const;
const noRecords: RecordRun = { bytes: new Uint8Array(0), count: 0 };

/** Serves `POST /v1/stream/NAME`. */
export function postToStream(plain: OneLogRequest): Promise<void> {
  const request = asStream(plain);
  const { exchange, client, options, name } = request;
  return answer(
    request,
    streamRoutePermissions.append,
    name,
    async () => {
      if (isTrue(exchange, "stream-closed")) options.access.authorize(client.identity, name, "configure");
      rejectHeaders(request, otherDoors, "an append takes Tailrace-Expected-Offset, and log_id in its query");
      return readStreamBody(request);
    },
    async (begun, body) => {
      const asked = { body, head: headOf(request), expectedOffset: expectedOffsetOf(exchange) };
      try {
        return await append(request, begun, asked);
      } catch (reason) {
        if (!isOfLaggingNode(reason)) throw reason;
        return append(request, begun, asked, "linearizable");
      }
    },
  );
}

/** What an append asks for. */
interface AskedAppend {
  readonly body: Buffer;
  readonly head: StreamHead;
  readonly expectedOffset: Offset | undefined;
}

/** Appends to the log that this node knows by the name. @throws Fault also for what only a node that lags refuses */
async function append(
  request: OneLogRequest,
  begun: BegunCall,
  { body, head, expectedOffset }: AskedAppend,
  mode?: Freshness["mode"],
): Promise<LogResponse> {
  const stream = await openStream(request, begun, mode);
  const { info } = stream;
  const run = body.length === 0 ? noRecords : await runOf(request, info, body);
  if (body.length === 0 && head.closes !== true) throw emptyBody();
  const wanted = { run, log: refOf(info), expectedOffset, stream: head };
  const appended = await appendToStream(request, begun, wanted);
  if (head.closes === true) await showClosed(stream);
  return answerOf(info, head, appended);
}

/**
 * A node that lags can know an earlier log of the name, or an earlier content type. So nothing was written, and the append is
 * tried again with everything that is acknowledged.
 */
const isOfLaggingNode = (reason: unknown): boolean =>
  reason instanceof Fault && reason.written === "no" && laggingReasons.includes(reason.facts.reason);

const laggingReasons: readonly unknown[] = ["ANOTHER_LOG", "ANOTHER_LIFE", "CONTENT_TYPE"];

/**
 * The next read on this node shows that the stream is closed. Never rejects: the stream is closed, also if the log is deleted
 * now, or if no leader answers.
 */
export async function showClosed({ log, freshness }: OpenStream): Promise<void> {
  await log.info({ ...freshness, mode: "linearizable" }).catch(() => undefined);
}

export async function readStreamBody({ exchange, options }: OneLogRequest): Promise<Buffer> {
  rejectEncoding(exchange);
  const body = await readBody(exchange, options.requestBytesMax, options.memory);
  await workTurns(options.clock).next();
  return body;
}

/** @throws Fault "bad-request" */
function headOf({ exchange }: OneLogRequest): StreamHead {
  const producer = producerOf(exchange);
  const order = orderOf(exchange);
  return {
    ...(producer === undefined ? {} : { producer }),
    ...(order === undefined ? {} : { order }),
    ...(isTrue(exchange, "stream-closed") ? { closes: true } : {}),
  };
}

async function runOf(request: OneLogRequest, info: LogInfo, body: Buffer): Promise<RecordRun> {
  const stated = headerOf(request.exchange, "content-type");
  if (stated === undefined || stated === "")
    throw new Fault("bad-request", {
      message: "an append needs the Content-Type of the stream",
      facts: { field: "Content-Type" },
    });
  const type = typeOfStream(info);
  if (!isSameType(checkedContentType(stated), type))
    throw new Fault("failed-precondition", {
      message: `the stream has the content type ${type}, the append has ${stated}`,
      facts: { name: info.name, reason: "CONTENT_TYPE" },
    });
  const run = await recordsOf(request, type, body);
  if (run.count === 0) throw emptyBody();
  return run;
}

/** The records of a body that is not empty. An empty array gives no record. */
export async function recordsOf(
  { options }: OneLogRequest,
  contentType: string,
  body: Buffer,
): Promise<RecordRun> {
  if (formOf(contentType) !== "json")
    return walkRecords(encodeRun([{ value: body }]).bytes, options.recordLimits);
  const messages = await messagesIn(body, options.clock);
  const runs: Uint8Array[] = [];
  for (let at = 0; at < messages.length; at += turnMessages) {
    await workTurns(options.clock).next();
    const some = messages.slice(at, at + turnMessages).map((value) => ({ value }));
    runs.push(walkRecords(encodeRun(some).bytes, options.recordLimits).bytes);
  }
  return { bytes: runs.length === 1 ? runs[0]! : Buffer.concat(runs), count: messages.length };
}

/** Appends on the leader. */
export function appendToStream(
  { exchange, options }: OneLogRequest,
  { call, signal }: BegunCall,
  wanted: Parameters<typeof appendTo>[2],
): Promise<Appended> {
  const forward = headerOf(exchange, forwardHeader) !== "no";
  return unlessAborted(appendTo(options, call, wanted, forward), signal, "unknown");
}

/** 200 for new records of a producer, 204 for a repeated request and without a producer. */
function answerOf(info: LogInfo, { producer, closes }: StreamHead, appended: Appended): LogResponse {
  const headers: ResponseHeaders = {
    "cache-control": "no-store",
    ...guardHeaders,
    ...identityHeaders(info),
    ...positionHeaders(appended.firstOffset + appended.count, closes === true),
    ...(producer === undefined
      ? {}
      : {
          "producer-epoch": String(producer.epoch),
          "producer-seq": String(appended.sequence ?? producer.sequence),
        }),
  };
  return {
    status: producer === undefined || appended.duplicate || appended.count === 0 ? 204 : 200,
    headers,
  };
}

const emptyBody = (): Fault =>
  new Fault("bad-request", {
    message: "the body has no message. An empty body is only for Stream-Closed: true",
  });
