/**
 * `GET /logs`: the logs that the caller may describe, in the order of their names.
 *
 *   ?prefix=TEXT     only names that begin with it        ?after=NAME    only names after it: "next" of the page before
 *   ?limit=N         names to look at, 1 to 256
 */
import { Fault } from "../../../fault.ts";
import { logNameBytesMax } from "../../../log/mod.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import { answer, checkParams, jsonLine, type LogRequest, noBody } from "./log-call.ts";
import { descriptionOf } from "./log-info-json.ts";
import { catalogOf } from "./opened-log.ts";

const limitMax = 256;

/** Serves `GET /logs`. A page can be empty although there are more. */
export function listLogs(request: LogRequest): Promise<void> {
  const { params, options, client } = request;
  return answer(request, logRoutePermissions.list, undefined, noBody, async () => {
    checkParams(params, ["prefix", "after", "limit"]);
    const page = catalogOf(options).list(textOf(params, "prefix"), textOf(params, "after"), limitOf(params));
    const logs = page.logs.filter(({ name }) => options.access.check(client.identity, name, "describe"));
    const body = jsonLine({ logs: logs.map(descriptionOf), next: page.next ?? null });
    const headers = { "content-type": "application/json", "cache-control": "no-store" };
    return { status: 200, headers, body };
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
