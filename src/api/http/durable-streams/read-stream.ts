/**
 * `GET /v1/stream/NAME`, up to the end of the stream, or with `live=long-poll` waiting there for more,
 * as long as an idle tail waits for a ping.
 *
 *   ?offset=       an offset of Stream-Next-Offset, -1 for the start, now for the end. Default -1
 *   ?live=         long-poll; sse is in stream-events.ts
 *   ?cursor=       Stream-Cursor of the response before
 *   ?log_id=       Tailrace-Log-Id of the response before: a stream that was created again is refused
 *
 * A response has about 1 MiB at most. The client goes on at Stream-Next-Offset until Stream-Up-To-Date.
 */
import { Fault } from "../../../fault.ts";
import { crc32 } from "../../../lib/checksum.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import type { BatchSlice, LogInfo, Offset, Tail } from "../../../types.ts";
import { faultOfAbort } from "../../calls/abort.ts";
import type { ClientConnection } from "../../calls/call-tracker.ts";
import { streamRoutePermissions } from "../../calls/method-permissions.ts";
import { logIdText } from "../../methods/logs/log-id.ts";
import { memoryWaitMs, reserveWhenReadable } from "../../methods/read-admission.ts";
import { listOf, type ResponseHeaders } from "../exchange/exchange.ts";
import { isKnownTag } from "../logs/entity-tags.ts";
import { answer, type BegunCall, type LogResponse, noBody, type OneLogRequest } from "../logs/log-call.ts";
import { valueHeaders } from "../logs/value-headers.ts";
import {
  asStream,
  badRequest,
  etagMismatch,
  identityHeaders,
  noteRead,
  noteReads,
  type OpenStream,
  openStream,
} from "./stream-call.ts";
import { nextCursor } from "./stream-cursor.ts";
import { parseStreamStart, positionHeaders, type StreamStart } from "./stream-headers.ts";
import { bodyOf } from "./stream-text.ts";
import { formOf, typeOfStream } from "./stream-type.ts";

/** About the largest body, in bytes. */
const chunkBytes = 1024 * 1024;

/** Serves a GET that is no stream of events. */
export function readStream(plain: OneLogRequest, isLongPoll: boolean): Promise<void> {
  const request = asStream(plain);
  const permission = isLongPoll ? streamRoutePermissions.longPoll : streamRoutePermissions.read;
  return answer(request, permission, request.name, noBody, async (begun) => {
    const start = startOf(request, isLongPoll);
    const stream = await openStream(request, begun);
    await noteRead(request, begun.call, stream.info);
    const from = await seek(stream, start);
    const memory = request.options.memory;
    using share = memory.share("out");
    using tail = followFrom(stream, from);
    const isThere = !isLongPoll || (await waitAtEnd(request, begun, stream, tail));
    if (isLongPoll) await noteRead(request, begun.call, stream.info);
    if (!isThere) return timedOut(request, stream, from);
    const slices = start === "now" && !isLongPoll ? [] : await take(request, begun, tail, share);
    return respond(request, stream, { from, slices, isLive: isLongPoll, isNow: start === "now" });
  });
}

/** @throws Fault "bad-request" */
export function startOf({ params }: OneLogRequest, isLive: boolean): StreamStart {
  const all = params.getAll("offset");
  if (all.length > 1) return badRequest("offset is given more than once", "offset");
  if (all[0] !== undefined) return parseStreamStart(all[0]);
  return isLive ? badRequest("a live read needs an offset, for example offset=-1", "offset") : "start";
}

/** Returns the offset of the first record. @throws Fault "out-of-range" for one that was trimmed, or is beyond the end */
async function seek({ log, info, freshness }: OpenStream, start: StreamStart): Promise<Offset> {
  if (start === "start") return info.lowest;
  if (start === "now") return (await log.bounds(freshness)).next;
  return log.seek({ offset: start }, freshness);
}

const followFrom = ({ log }: OpenStream, from: Offset): Tail => log.follow(from);

/** Resolves to true when there is a record, false when there is none in time or there will be no more. */
async function waitAtEnd(
  request: OneLogRequest,
  { call, signal }: BegunCall,
  { log, info }: OpenStream,
  tail: Tail,
): Promise<boolean> {
  if ((tail.end ?? 0) > tail.position) return true;
  const { options } = request;
  options.calls.beginTail(call, { of: tail });
  using _ = noteReads(request, call, info);
  const stop = (): void => tail[Symbol.dispose]();
  const timer = options.clock.after(options.tail.pingMs, stop);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const ready = await tail.ready();
    if (signal.aborted) throw faultOfAbort(signal);
    if (!ready) await log.info({ mode: "any" });
    return ready;
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", stop);
  }
}

async function take(
  { exchange, options }: OneLogRequest,
  { signal }: BegunCall,
  tail: Tail,
  share: Parameters<typeof reserveWhenReadable>[0]["share"],
): Promise<BatchSlice[]> {
  const { memory, clock } = options;
  await tail.prepare?.();
  if (signal.aborted) throw faultOfAbort(signal);
  const first = tail.nextBytes?.() ?? 0;
  const slices: BatchSlice[] = [];
  if (first === 0 && (tail.end ?? 0) <= tail.position) return slices;
  const admission = { sink: exchange, memory, clock, signal, share, waitMs: memoryWaitMs };
  await reserveWhenReadable(admission, Math.max(first, chunkBytes));
  for (let left = chunkBytes; left > 0 && (slices.length === 0 || (tail.nextBytes?.() ?? 0) <= left); ) {
    const slice = tail.take(left);
    if (slice === undefined) break;
    slices.push(slice);
    left -= slice.frames.length;
    await workTurns(clock).next();
    await tail.prepare?.();
    if (signal.aborted) throw faultOfAbort(signal);
  }
  return slices;
}

interface Chunk {
  readonly from: Offset;
  readonly slices: readonly BatchSlice[];
  readonly isLive: boolean;
  readonly isNow: boolean;
}

async function respond(
  request: OneLogRequest,
  { log, info: { settings } }: OpenStream,
  { from, slices, isLive, isNow }: Chunk,
): Promise<LogResponse> {
  const { exchange, options, client } = request;
  const info = await log.info({ mode: "any" });
  const next = slices.at(-1)?.nextOffset ?? from;
  const isAtEnd = next >= info.next;
  const isClosed = isAtEnd && info.closed;
  const contentType = typeOfStream({ settings });
  const form = formOf(contentType);
  const etag = tagOf(info, contentType, { from, next, isClosed });
  const headers: ResponseHeaders = {
    ...valueHeaders(contentType),
    "cache-control": isNow ? "no-store" : caching(client, isAtEnd),
    ...identityHeaders(info),
    ...positionHeaders(next, isClosed),
    ...(isAtEnd ? { "stream-up-to-date": "true" } : {}),
    ...(isLive ? cursorHeaders(request) : {}),
    ...(isNow ? {} : { etag }),
  };
  checkMatch(request, isNow ? undefined : etag);
  if (!isNow && isKnownTag(listOf(exchange, "if-none-match"), etag)) return { status: 304, headers };
  const { body, records } = await bodyOf(form, slices, from, options.clock);
  options.traffic.sent(records, body.length);
  return { status: 200, headers, body };
}

/** @throws Fault "failed-precondition" if the request has If-Match, and the response is another one */
function checkMatch({ exchange, name }: OneLogRequest, etag: string | undefined): void {
  const wanted = listOf(exchange, "if-match");
  if (wanted === undefined || wanted.trim() === "*") return;
  if (etag !== undefined && isKnownTag(wanted, etag)) return;
  throw new Fault("failed-precondition", {
    message: `this part of the stream has ${etag === undefined ? "no ETag" : `the ETag ${etag}`}, which If-Match does not state`,
    facts: { name, reason: etagMismatch },
  });
}

/**
 * No record came in time, or the stream is closed. A record that came since is for the next request: the position is that of this one,
 * and not the end.
 */
async function timedOut(request: OneLogRequest, { log }: OpenStream, from: Offset): Promise<LogResponse> {
  const info = await log.info({ mode: "any" });
  const isAtEnd = from >= info.next;
  checkMatch(request, undefined);
  return {
    status: 204,
    headers: {
      "cache-control": "no-store",
      ...identityHeaders(info),
      ...positionHeaders(from, isAtEnd && info.closed),
      ...(isAtEnd ? { "stream-up-to-date": "true" } : {}),
      ...cursorHeaders(request),
    },
  };
}

function cursorHeaders({ options, params }: OneLogRequest): ResponseHeaders {
  const { clock } = options;
  return {
    "stream-cursor": nextCursor(params.get("cursor") ?? undefined, clock.wallMs(), clock.monotonicMs()),
  };
}

/**
 * A part of a stream never changes. What is at its end does, so a cache asks again whether it is still the end, and whether the
 * name is still that of the same log.
 */
function caching({ secure, identity }: ClientConnection, isEnd: boolean): string {
  // A shared cache would serve it to everyone, and any cache would serve it after the token was revoked.
  if (identity.token !== undefined) return "private, no-cache";
  const who = secure ? "private" : "public";
  return isEnd ? `${who}, no-cache` : `${who}, max-age=60, stale-while-revalidate=300`;
}

/** The content type of a stream can change, and then the form of its records. */
function tagOf(
  { life, id }: LogInfo,
  contentType: string,
  { from, next, isClosed }: { readonly from: Offset; readonly next: Offset; readonly isClosed: boolean },
): string {
  const type = crc32(Buffer.from(contentType)).toString(16);
  return `"${logIdText(life, id)}:${from}:${next}:${type}${isClosed ? ":closed" : ""}"`;
}
