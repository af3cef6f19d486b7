/**
 * The routes of cursors.
 *
 *   /cursors?log=NAME           GET     the cursors of a log, with how far each is behind
 *   /cursors/CURSOR?log=NAME    GET     one of them; its ETag is its version
 *                               PUT     { "offset": N, "metadata": text }: sets it. If-Match: a version, If-None-Match: *
 *                               DELETE  deletes it. If-Match: a version
 *
 * Without `log`, the log is `default`. The name of a cursor is in the path as that of a log is (log-path.ts).
 */
import { Fault } from "../../../fault.ts";
import { type CursorInfo, lagOf } from "../../../lib/names/cursor-info.ts";
import { cursorMetadataBytesMax, cursorNameBytesMax, cursorNameOf } from "../../../lib/names/cursor-name.ts";
import { defaultLog, namedLogOf } from "../../../lib/names/log-name.ts";
import { unlessAborted } from "../../calls/abort.ts";
import type { ClientConnection } from "../../calls/call-tracker.ts";
import { cursorRoutePermissions } from "../../calls/method-permissions.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import {
  type ChangePorts,
  commitCursor,
  cursorPageMax,
  deleteCursor,
  getCursor,
  listCursors,
} from "../../methods/cursors/cursor-calls.ts";
import type { LogExtent } from "../../methods/logs/log-directory.ts";
import { type Exchange, headerOf, pathOf, queryOf, quoted } from "../exchange/exchange.ts";
import { readBody } from "../exchange/read-body.ts";
import { rejectEncoding } from "../http-produce-consume.ts";
import { rejectConditions } from "../logs/entity-tags.ts";
import {
  answer,
  type BegunCall,
  checkParams,
  freshnessOf,
  jsonLine,
  type LogRouteOptions,
  logOf,
  noBody,
  type OneLogRequest,
  refuseMethod,
  refuseName,
} from "../logs/log-call.ts";
import { decodedPath } from "../logs/log-path.ts";

const cursorsPath = "/cursors";
/** A body has an offset and metadata, each byte of which may be escaped. */
const bodyBytesMax = 6 * cursorMetadataBytesMax + 256;
/** A version in an entity tag. */
const tagPattern = /^"(\d{1,16})"$/;

interface CursorRequest extends OneLogRequest {
  readonly cursor: string;
}

const methods: Readonly<Record<string, (request: CursorRequest) => Promise<void>>> = {
  GET: showCursor,
  PUT: putCursor,
  DELETE: removeCursor,
};

/** Returns whether a path is that of the list of cursors or of a cursor. */
export const isCursorsPath = (path: string): boolean =>
  path === cursorsPath || path.startsWith(`${cursorsPath}/`);

/** The methods of a path that isCursorsPath() accepts. */
export const cursorMethodsOf = (path: string): string =>
  path === cursorsPath ? "GET" : Object.keys(methods).join(", ");

/** Serves a path that isCursorsPath() accepts. */
export async function serveCursors(
  exchange: Exchange,
  client: ClientConnection,
  options: LogRouteOptions,
): Promise<void> {
  const path = pathOf(exchange);
  const params = new URLSearchParams(queryOf(exchange));
  const request = { exchange, client, options, params };
  const isList = path === cursorsPath;
  const serve = Object.hasOwn(methods, exchange.method) ? methods[exchange.method] : undefined;
  if (isList ? exchange.method !== "GET" : serve === undefined)
    return refuseMethod(exchange, isList ? cursorsPath : "a cursor", cursorMethodsOf(path));
  let named: CursorRequest;
  try {
    const given = params.get("log") ?? "";
    const name = given === "" ? defaultLog : (namedLogOf(given) ?? defaultLog);
    const cursor = isList ? "" : cursorOf(path);
    named = { ...request, name, cursor };
  } catch (reason) {
    return refuseName(request, reason);
  }
  return isList ? showCursors(named) : serve!(named);
}

function cursorOf(path: string): string {
  const encoded = path.slice(cursorsPath.length + 1);
  if (encoded.length > 3 * cursorNameBytesMax) {
    const message = `the name of a cursor has at most ${cursorNameBytesMax} bytes of UTF-8`;
    throw new Fault("bad-request", { message, facts: { field: "cursor" } });
  }
  return cursorNameOf(decodedPath(encoded, "cursor"));
}

function showCursors(request: CursorRequest): Promise<void> {
  const { name, options, params } = request;
  return answer(request, cursorRoutePermissions.list, name, noBody, async (begun) => {
    checkParams(params, ["log", "log_id", "after", "limit"]);
    const page = { after: params.get("after") ?? "", limit: limitOf(params) };
    const { logs } = options;
    const found = await listCursors(logs, begun.call, logOf(request), page, freshnessOf(begun));
    const cursors = found.cursors.map((cursor) => ({ name: cursor.name, ...factsOf(cursor, found.log) }));
    const body = { log: name, ...extentOf(found.log), cursors, next: found.next ?? null };
    return { status: 200, headers: jsonHeaders, body: jsonLine(body) };
  });
}

function showCursor(request: CursorRequest): Promise<void> {
  const { name, cursor, options, params } = request;
  return answer(request, cursorRoutePermissions.get, name, noBody, async (begun) => {
    checkParams(params, ["log", "log_id"]);
    const wanted = { ...logOf(request), name: cursor };
    const found = await getCursor(options.logs, begun.call, wanted, freshnessOf(begun));
    const facts = { ...factsOf(found.cursor, found.log), ...extentOf(found.log) };
    const body = jsonLine({ name: cursor, log: name, ...facts });
    return { status: 200, headers: { ...jsonHeaders, etag: tagOf(found.cursor) }, body };
  });
}

function putCursor(request: CursorRequest): Promise<void> {
  const { name, cursor, exchange, options, params } = request;
  const read = (): Promise<Buffer> => {
    rejectEncoding(exchange);
    return readBody(exchange, bodyBytesMax, options.memory);
  };
  return answer(request, cursorRoutePermissions.commit, name, read, async (begun, body) => {
    checkParams(params, ["log", "log_id"]);
    const wanted = {
      ...logOf(request),
      name: cursor,
      ...commitOf(body),
      expectedVersion: requiredBy(exchange),
    };
    const done = await commitCursor(options.logs, begun.call, wanted, portsOf(request, begun));
    const headers = { ...jsonHeaders, etag: tagOf(done.cursor) };
    const answered = jsonLine({ name: cursor, log: name, ...factsOf(done.cursor) });
    return { status: done.created ? 201 : 200, headers, body: answered };
  });
}

function removeCursor(request: CursorRequest): Promise<void> {
  const { name, cursor, exchange, options, params } = request;
  return answer(request, cursorRoutePermissions.delete, name, noBody, async (begun) => {
    checkParams(params, ["log", "log_id"]);
    rejectConditions(exchange, ["If-None-Match"], "the deletion of a cursor takes If-Match");
    const wanted = { ...logOf(request), name: cursor, expectedVersion: requiredBy(exchange) };
    await deleteCursor(options.logs, begun.call, wanted, portsOf(request, begun));
    return { status: 204, headers: { "cache-control": "no-store" } };
  });
}

const jsonHeaders = { "content-type": "application/json", "cache-control": "no-store" } as const;

const tagOf = ({ version }: CursorInfo): string => `"${version}"`;

const portsOf = ({ exchange }: CursorRequest, { signal }: BegunCall): ChangePorts => ({
  forward: headerOf(exchange, forwardHeader) !== "no",
  change: (work) => unlessAborted(work, signal, "unknown"),
});

const factsOf = (cursor: CursorInfo, log?: LogExtent) => ({
  offset: cursor.offset,
  ...(cursor.metadata === "" ? {} : { metadata: cursor.metadata }),
  version: cursor.version,
  ...(log === undefined ? {} : { lag: lagOf(cursor, log) }),
  created_ms: cursor.createdMs,
  committed_ms: cursor.committedMs,
  ...(cursor.owner === undefined ? {} : { owner: cursor.owner }),
});

const extentOf = ({ lowest, next, logId }: LogExtent) => ({
  lowest,
  next_offset: next,
  ...(logId === undefined ? {} : { log_id: logId }),
});

/**
 * The version that the conditions of a request require; 0: there must be no cursor. Undefined: any.
 * @throws Fault "bad-request" for both, for several versions, and for anything that is no version of a cursor
 */
function requiredBy(exchange: Exchange): number | undefined {
  const [match, noneMatch] = ["if-match", "if-none-match"].map((name) => headerOf(exchange, name)?.trim());
  const refused = (field: string, message: string): Fault =>
    new Fault("bad-request", { message, facts: { field } });
  if (noneMatch !== undefined) {
    if (noneMatch === "*" && match === undefined) return 0;
    throw refused("If-None-Match", "a cursor takes If-None-Match: *, for a new one, or If-Match");
  }
  if (match === undefined) return undefined;
  const version = Number(tagPattern.exec(match)?.[1]);
  if (Number.isSafeInteger(version) && version > 0) return version;
  throw refused(
    "If-Match",
    `If-Match of a cursor must be its ETag, the version in quotes such as "17", not ${quoted(match)}`,
  );
}

function limitOf(params: URLSearchParams): number {
  const text = params.get("limit");
  if (text === null) return cursorPageMax;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= cursorPageMax) return limit;
  const message = `limit must be a whole number from 1 to ${cursorPageMax}`;
  throw new Fault("bad-request", { message, facts: { field: "limit" } });
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** @throws Fault "bad-request" */
function commitOf(body: Buffer): { readonly offset: number; readonly metadata: string } {
  const refused = (message: string, field: string): Fault =>
    new Fault("bad-request", { message, facts: { field } });
  let found: unknown;
  try {
    found = JSON.parse(utf8.decode(body));
  } catch {
    throw refused('the body must be JSON in UTF-8, such as {"offset":5}', "body");
  }
  if (typeof found !== "object" || found === null || Array.isArray(found))
    throw refused('the body must be a JSON object, such as {"offset":5}', "body");
  const { offset, metadata = "", ...others } = found as Readonly<Record<string, unknown>>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw refused(`there is no member ${quoted(unknown)}, only offset and metadata`, quoted(unknown));
  if (!Number.isSafeInteger(offset) || (offset as number) < 0)
    throw refused("offset must be a whole number from 0 to 2^53 - 1", "offset");
  if (typeof metadata !== "string") throw refused("metadata must be text", "metadata");
  return { offset: offset as number, metadata };
}
