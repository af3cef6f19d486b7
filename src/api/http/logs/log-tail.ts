/**
 * Records of one log, as lines of JSON or as server-sent events: `GET /logs/NAME?from=…` and `GET /tail?log=NAME`. Lines
 * stop at the end of the log unless `follow` is stated; events go on. The id of an event has the id of the log and an
 * offset, so an EventSource resumes, and is refused if another log has the name now.
 *
 *   ?from=, ?limit=, ?format=, ?batch=      as for /tail; lines that stop begin at the start of the log
 *   ?follow                                 go on at the end of the log
 *   ?cursor=                                begin at this cursor of the log, which needs the action `cursor`, too
 */

import { Fault } from "../../../fault.ts";
import { defaultLog, namedLogOf } from "../../../lib/names/log-name.ts";
import { signalOf } from "../../calls/abort.ts";
import type { ClientConnection } from "../../calls/call-tracker.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import { type LogInRequest, objectOfLog } from "../../methods/logs/log-directory.ts";
import { parseLogId } from "../../methods/logs/log-id.ts";
import { callMetaOf } from "../call-meta.ts";
import { type Exchange, headerOf, queryOf } from "../exchange/exchange.ts";
import { type OpenTail, runTail, tailFormOf, tailForms } from "../http-tail.ts";
import { parseTail, type TailRequest, tailParams } from "../tail-request.ts";
import {
  checkParams,
  idHeader,
  isFlag,
  type LogRouteOptions,
  logOf,
  type OneLogRequest,
  refuseName,
} from "./log-call.ts";
import { serveTailOfLogs } from "./logs-tail.ts";
import { routeParams } from "./route-params.ts";

/** Serves `GET /logs/NAME` for records. */
export function tailLog(request: OneLogRequest, asEvents: boolean): Promise<void> {
  const { exchange, params } = request;
  const form = asEvents ? tailForms.events : tailForms.lines;
  return run(request, form, { vary: "Accept" }, () => {
    checkParams(params, routeParams.tail);
    const follows = params.has("follow") ? isFlag(params, "follow") : asEvents;
    const asked = new URLSearchParams(tailParams.flatMap((name) => pair(params, name)));
    if (!follows && !params.has("from")) asked.set("from", "start");
    return { asked: parseTail(asked.toString(), headerOf(exchange, "last-event-id")), stopAtEnd: !follows };
  });
}

/** Returns whether a request of `/tail` names a log, a prefix, or a cursor. */
export const namesLog = (exchange: Exchange): boolean => {
  if (exchange.method !== "GET") return false;
  const params = new URLSearchParams(queryOf(exchange));
  return params.has("log") || params.has("prefix") || params.has("cursor");
};

/** Serves `GET /tail?log=NAME`, and with several names or a prefix the tail of several logs. */
export async function serveTailOfLog(
  exchange: Exchange,
  client: ClientConnection,
  options: LogRouteOptions,
): Promise<void> {
  const params = new URLSearchParams(queryOf(exchange));
  if (params.has("prefix") || params.getAll("log").length > 1)
    return serveTailOfLogs({ exchange, client, options, params });
  let name: string;
  try {
    checkParams(params, routeParams.tailLogs);
    const given = params.get("log") ?? (params.has("cursor") ? defaultLog : "");
    if (given === "")
      throw new Fault("bad-request", { message: "log names no log", facts: { field: "log" } });
    name = namedLogOf(given) ?? defaultLog;
  } catch (reason) {
    return refuseName({ exchange, client, options, params }, reason);
  }
  await run({ exchange, client, options, params, name }, tailFormOf(exchange), {}, () => {
    const asked = new URLSearchParams(tailParams.flatMap((name) => pair(params, name)));
    return { asked: parseTail(asked.toString(), headerOf(exchange, "last-event-id")), stopAtEnd: false };
  });
}

const pair = (params: URLSearchParams, name: string): [string, string][] => {
  const value = params.get(name);
  return value === null ? [] : [[name, value]];
};

/** Finds the log before the response begins: a log that is not there is a status, not an event. */
function run(
  request: OneLogRequest,
  form: (typeof tailForms)["events" | "lines"],
  headers: Readonly<Record<string, string>>,
  parse: () => Pick<OpenTail, "asked" | "stopAtEnd">,
): Promise<void> {
  const { exchange, client, options, name } = request;
  return runTail(exchange, client, options.tail, {
    permission: logRoutePermissions.tail,
    meta: { ...callMetaOf(exchange), object: objectOfLog(name) },
    form,
    async open(call) {
      const parsed = parse();
      const signal = signalOf(call, exchange.signal);
      const { cursor } = parsed.asked;
      if (cursor !== undefined) options.access.authorize(client.identity, objectOfLog(name), "cursor");
      const freshness = cursor === undefined ? { signal } : { signal, mode: "linearizable" as const };
      const { log, logId } = await options.logs.openFor(call, seenLog(request, parsed.asked), freshness);
      const asked =
        cursor === undefined
          ? parsed.asked
          : await fromCursor(request, parsed.asked, cursor, { log, logId, signal });
      return { ...parsed, asked, log, logId, headers: { ...headers, ...idHeader(logId) } };
    },
  });
}

/** Begins at the cursor, as the last acknowledged commit left it, if there is one. */
async function fromCursor(
  { options }: OneLogRequest,
  asked: TailRequest,
  cursor: string,
  { log, logId, signal }: Pick<OpenTail, "log" | "logId"> & { readonly signal: AbortSignal },
): Promise<TailRequest> {
  if (logId === undefined) await log.bounds({ signal, mode: "linearizable" });
  const id = logId === undefined ? 0 : parseLogId(logId).id;
  const found = options.logs.named.cursor(id, cursor);
  return found === undefined ? asked : { ...asked, start: { offset: found.offset } };
}

/**
 * The log of a request, with the id that it states or that its reader has seen.
 * @throws Fault "bad-request" if they differ
 */
function seenLog(request: OneLogRequest, { seenLogId }: TailRequest): LogInRequest {
  const stated = logOf(request);
  if (seenLogId === undefined || request.name === defaultLog) return stated;
  if (stated.logId === undefined) return { ...stated, logId: seenLogId };
  if (stated.logId === seenLogId) return stated;
  const message = `Last-Event-ID is an event of the log ${seenLogId}, but log_id is ${stated.logId.slice(0, 64)}`;
  throw new Fault("bad-request", { message, facts: { field: "Last-Event-ID" } });
}
