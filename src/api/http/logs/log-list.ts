/**
 * `GET /logs`: the logs that the caller may describe, in the order of their names.
 *
 *   ?prefix=TEXT     only names that begin with it        ?after=NAME    only names after it: "next" of the page before
 *   ?limit=N         logs in the page, 1 to 256
 */
import { Fault } from "../../../fault.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import { logNameBytesMax } from "../../../log/mod.ts";
import { faultOfAbort } from "../../calls/abort.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import { answer, checkParams, jsonLine, type LogRequest, noBody } from "./log-call.ts";
import { descriptionOf } from "./log-info-json.ts";
import { routeParams } from "./route-params.ts";

export const limitMax = 256;

/** Serves `GET /logs`. */
export function listLogs(request: LogRequest): Promise<void> {
  const { params, options } = request;
  return answer(request, logRoutePermissions.list, undefined, noBody, async ({ call, signal }) => {
    checkParams(params, routeParams.list);
    const page = { prefix: textOf(params, "prefix"), after: textOf(params, "after"), limit: limitOf(params) };
    const turn = async (): Promise<void> => {
      if (signal.aborted) throw faultOfAbort(signal);
      await workTurns(options.clock).next();
    };
    const { logs, next } = await options.logs.list(call, page, turn);
    const headers = { "content-type": "application/json", "cache-control": "no-store" };
    return { status: 200, headers, body: jsonLine({ logs: logs.map(descriptionOf), next: next ?? null }) };
  });
}

function textOf(params: URLSearchParams, field: "prefix" | "after"): string {
  const text = params.get(field) ?? "";
  if (Buffer.byteLength(text) <= logNameBytesMax) return text;
  throw new Fault("bad-request", {
    message: `${field} has at most ${logNameBytesMax} bytes, as a name`,
    facts: { field },
  });
}

function limitOf(params: URLSearchParams): number {
  const text = params.get("limit");
  if (text === null) return limitMax;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limitMax) return limit;
  throw new Fault("bad-request", {
    message: `limit must be a whole number from 1 to ${limitMax}`,
    facts: { field: "limit" },
  });
}
