/**
 * `GET` and `HEAD /logs/NAME`. The query and the header Accept choose what is read:
 *
 *   ?offset=N                        one record: JSON, or its value as it is with the content type of the log, for
 *                                    application/octet-stream and for that type
 *   ?from=, ?limit=, ?follow, ?filter=  records as lines of JSON, up to the end of the log or on and on
 *   accept: text/event-stream        records as server-sent events, on and on
 *   otherwise                        the description of the log
 */
import { Fault } from "../../../fault.ts";
import { decodeRecord, RecordCursor } from "../../../log/mod.ts";
import type { Offset } from "../../../types.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import type { OpenedLog } from "../../methods/logs/log-directory.ts";
import { logIdText } from "../../methods/logs/log-id.ts";
import { mediaTypeOf } from "../../methods/logs/media-type.ts";
import { memoryWaitMs } from "../../methods/read-admission.ts";
import { readOne } from "../../methods/read-one.ts";
import { headerOf, listOf } from "../exchange/exchange.ts";
import { parseOffset } from "../produce-consume-json.ts";
import { consumeResponseLine, type PlacedRecord, recordLine } from "../record-json.ts";
import { parseFormat } from "../tail-request.ts";
import { isPreferredToAll, preferredType } from "./accept.ts";
import { isKnownTag, tagOfLog, tagOfRecord } from "./entity-tags.ts";
import {
  answer,
  type BegunCall,
  checkParams,
  freshnessOf,
  idHeader,
  jsonLine,
  type LogResponse,
  logOf,
  noBody,
  type OneLogRequest,
} from "./log-call.ts";
import { defaultDescriptionOf, descriptionOf } from "./log-info-json.ts";
import { tailLog } from "./log-tail.ts";
import { routeParams } from "./route-params.ts";
import { bytesType, valueHeaders } from "./value-headers.ts";

const json = "application/json";
const lines = "application/x-ndjson";
const events = "text/event-stream";

/** Serves `GET /logs/NAME`. */
export function getLog(request: OneLogRequest): Promise<void> {
  const { exchange, params } = request;
  const accept = headerOf(exchange, "accept");
  if (params.has("offset")) return getRecord(request);
  const isRead = ["from", "limit", "follow", "cursor", "filter"].some((name) => params.has(name));
  if (isRead) return tailLog(request, preferredType(accept, [lines, json, events]) === events);
  const isTail = preferredType(accept, [json, events]) === events;
  return isTail ? tailLog(request, true) : describeLog(request);
}

/** Serves `HEAD /logs/NAME`, of the log or of one record. */
export const headLog = (request: OneLogRequest): Promise<void> =>
  request.params.has("offset") ? getRecord(request) : describeLog(request);

function describeLog(request: OneLogRequest): Promise<void> {
  const { exchange, options, params, name } = request;
  const isHead = exchange.method === "HEAD";
  const permission = isHead ? logRoutePermissions.head : logRoutePermissions.describe;
  return answer(request, permission, name, noBody, async (begun) => {
    checkParams(
      params,
      isHead ? routeParams.head : routeParams.describe,
      isHead ? "" : "; for records state offset=N or from=START, such as from=-10 for the last 10",
    );
    const info = await options.logs.infoFor(begun.call, logOf(request), freshnessOf(begun));
    const headers = { "content-type": json, "cache-control": "private, no-cache", vary: "Accept" };
    if (info === undefined) {
      const description = await options.log.describe();
      const mayName = (log: string): boolean => options.logs.mayDescribe(begun.call, log);
      const body = jsonLine(defaultDescriptionOf(description, mayName));
      return { status: 200, headers: { ...headers, ...extentHeaders(description) }, body };
    }
    const etag = tagOfLog(info);
    const id = idHeader(logIdText(info.life, info.id));
    const all = { ...headers, etag, ...extentHeaders(info), ...id };
    if (isKnownTag(listOf(exchange, "if-none-match"), etag)) return { status: 304, headers: all };
    return { status: 200, headers: all, body: jsonLine(descriptionOf(info)) };
  });
}

const extentHeaders = ({ lowest, next }: { readonly lowest: Offset; readonly next: Offset }) => ({
  "tailrace-lowest": String(lowest),
  "tailrace-next": String(next),
});

/** Returns whether the client prefers the value as it is to JSON. */
function prefersValue({ exchange }: OneLogRequest, contentType: string | undefined): boolean {
  const type = contentType === undefined ? undefined : mediaTypeOf(contentType);
  const offers: readonly [string, ...string[]] = [json, bytesType, ...(type === undefined ? [] : [type])];
  return preferredType(headerOf(exchange, "accept"), offers) !== json;
}

function getRecord(request: OneLogRequest): Promise<void> {
  const { exchange, options, params, name } = request;
  return answer(request, logRoutePermissions.consume, name, noBody, async (begun) => {
    checkParams(params, routeParams.consume);
    const offset = parseOffset(params.get("offset") ?? "");
    const format = parseFormat(params);
    using share = options.memory.share("out");
    const { record, bytes, logId, contentType } = await readRecord(request, begun, offset, share);
    const asBytes = prefersValue(request, contentType);
    const headers = {
      ...(asBytes ? valueHeaders(contentType) : { "content-type": json }),
      vary: "Accept",
      "cache-control": "no-store",
      "tailrace-offset": String(offset),
      "tailrace-timestamp-ms": String(record.timestampMs),
      ...idHeader(logId),
    };
    const response = (): Pick<LogResponse, "status" | "body"> => {
      if (exchange.method !== "HEAD") options.traffic.sent(1, bytes);
      if (asBytes) return { status: 200, body: record.value };
      const line = format === "base64" ? consumeResponseLine(record) : undefined;
      return { status: 200, body: line ?? `{"record":${recordLine(record, format)}}\n` };
    };
    // Only a URL with the id of the log means the same record at all times.
    if (logId === undefined || !params.has("log_id")) return { ...response(), headers };
    const etag = asBytes
      ? tagOfRecord(logId, offset, "bytes", contentType ?? bytesType)
      : tagOfRecord(logId, offset, format);
    const kept = { ...headers, "cache-control": cachingOf(request, asBytes), etag };
    if (isKnownTag(listOf(exchange, "if-none-match"), etag)) return { status: 304, headers: kept };
    return { ...response(), headers: kept };
  });
}

/**
 * Another content type of the log changes the type of its values, and may change what a client prefers to JSON. What a token opened
 * must not be served from a cache after the token was revoked.
 */
const cachingOf = ({ exchange, client }: OneLogRequest, asBytes: boolean): string =>
  client.identity.token === undefined && !asBytes && isPreferredToAll(headerOf(exchange, "accept"), json)
    ? "private, max-age=31536000, immutable"
    : "private, no-cache";

async function readRecord(
  request: OneLogRequest,
  begun: BegunCall,
  offset: Offset,
  share: ReturnType<OneLogRequest["options"]["memory"]["share"]>,
): Promise<
  { readonly record: PlacedRecord; readonly bytes: number } & Pick<OpenedLog, "logId" | "contentType">
> {
  const { exchange, options } = request;
  const { memory, clock } = options;
  const freshness = freshnessOf(begun);
  const { log, logId, contentType } = await options.logs.openFor(begun.call, logOf(request), freshness);
  const plan = { start: { offset }, waitMs: 0, freshness };
  const admission = { sink: exchange, memory, clock, signal: begun.signal, share, waitMs: memoryWaitMs };
  const { slice } = await readOne(log, plan, admission);
  const cursor = new RecordCursor(slice.frames, offset);
  if (!cursor.next()) throw new Fault("corrupt", { message: `a batch does not hold offset ${offset}` });
  const bytes = cursor.end - cursor.start;
  const parts = decodeRecord(slice.frames, cursor.start, cursor.end);
  return { record: { ...parts, offset, timestampMs: cursor.timestampMs }, bytes, logId, contentType };
}
