/**
 * The routes of named logs. Nothing else is ever below `/logs/`.
 *
 *   /logs            GET the list
 *   /logs/NAME       GET, HEAD, POST, PUT, PATCH, DELETE
 *
 * `/logs/default` is the log of `POST /` and `GET /`. It cannot be created or deleted.
 */
import type { ClientConnection } from "../../calls/call-tracker.ts";
import { type Exchange, pathOf, queryOf } from "../exchange/exchange.ts";
import { postToLog } from "./log-append.ts";
import {
  type LogRequest,
  type LogRouteOptions,
  type OneLogRequest,
  refuseMethod,
  refuseName,
} from "./log-call.ts";
import { deleteLog, patchLog, putLog } from "./log-changes.ts";
import { listLogs } from "./log-list.ts";
import { logNameOf, logsPath } from "./log-path.ts";
import { getLog, headLog } from "./log-reads.ts";

const methods: Readonly<Record<string, (request: OneLogRequest) => Promise<void>>> = {
  GET: getLog,
  HEAD: headLog,
  POST: postToLog,
  PUT: putLog,
  PATCH: patchLog,
  DELETE: deleteLog,
};

/** The methods of a path that isLogsPath() accepts. */
export const methodsOf = (path: string): string =>
  path === logsPath ? "GET" : Object.keys(methods).join(", ");

/** Serves a path that isLogsPath() accepts. */
export async function serveLogs(
  exchange: Exchange,
  client: ClientConnection,
  options: LogRouteOptions,
): Promise<void> {
  const path = pathOf(exchange);
  const request: LogRequest = { exchange, client, options, params: new URLSearchParams(queryOf(exchange)) };
  if (path === logsPath) {
    if (exchange.method === "GET") return listLogs(request);
    return refuseMethod(exchange, "/logs", methodsOf(path));
  }
  const serve = Object.hasOwn(methods, exchange.method) ? methods[exchange.method] : undefined;
  if (serve === undefined) return refuseMethod(exchange, "a log", methodsOf(path));
  let name: string;
  try {
    name = logNameOf(path);
  } catch (reason) {
    return refuseName(request, reason);
  }
  return serve({ ...request, name });
}
