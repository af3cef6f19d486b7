/** `PUT`, `PATCH` and `DELETE /logs/NAME`: creates, changes, closes and deletes a log. */
import { Fault } from "../../../fault.ts";
import { assert } from "../../../lib/assert.ts";
import { settingKeys } from "../../../lib/named-log-settings.ts";
import { defaultLog } from "../../../lib/names/log-name.ts";
import { settingDifferences } from "../../../log/mod.ts";
import type { ChangedLog, LogChange, LogInfo, LogRef, NamedLogSettings, RaftIndex } from "../../../types.ts";
import { unlessAborted } from "../../calls/abort.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { appendOptionsOf } from "../../methods/append.ts";
import { createdOrFound } from "../../methods/logs/create-log.ts";
import { headerOf, listOf } from "../exchange/exchange.ts";
import { readBody } from "../exchange/read-body.ts";
import { rejectEncoding } from "../http-produce-consume.ts";
import {
  type RequiredLog,
  type RequiredLogs,
  rejectConditions,
  requiredLogs,
  tagOfLog,
} from "./entity-tags.ts";
import {
  answer,
  type BegunCall,
  checkParams,
  freshnessOf,
  jsonLine,
  type LogResponse,
  logExists,
  logOf,
  noBody,
  type OneLogRequest,
} from "./log-call.ts";
import { identityOf, logChangeOf, settingsBytesMax, settingsOf } from "./log-info-json.ts";
import { routeParams } from "./route-params.ts";

/** Serves `PUT /logs/NAME`. */
export function putLog(request: OneLogRequest): Promise<void> {
  const { name } = request;
  return answer(
    request,
    logRoutePermissions.create,
    name,
    () => readSettings(request),
    async (begun, body) => {
      checkParams(request.params, routeParams.create);
      const mustBeNew = requiresNew(request);
      const settings = settingsOf(body);
      if (name === defaultLog)
        throw existing(name, mustBeNew, ": every cluster has it, and it is not created");
      return createdOrFound(
        async () => {
          const { log, created } = await change(request, begun, { kind: "create", name, settings });
          if (!created && mustBeNew) throw existing(name, mustBeNew);
          return identity(log!, created ? 201 : 200);
        },
        async (refusal) => {
          if (mustBeNew) throw existing(name, mustBeNew);
          return identity(await sameLog(request, begun, settings, refusal), 200);
        },
      );
    },
  );
}

/** Serves `PATCH /logs/NAME`. */
export function patchLog(request: OneLogRequest): Promise<void> {
  const { name } = request;
  return answer(
    request,
    logRoutePermissions.update,
    name,
    () => readSettings(request),
    async (begun, body) => {
      checkParams(request.params, routeParams.update);
      if (name === defaultLog)
        throw forDefault("is not closed and has no settings of its own, the flags of the nodes set them");
      const asked = logChangeOf(body);
      const wanted = { ...asked, ...(await refOf(request, begun)) };
      const { log } = await change(request, begun, wanted);
      return identity(log!, 200, asked.kind === "close" ? { closed: true } : {});
    },
  );
}

/** Serves `DELETE /logs/NAME`. */
export function deleteLog(request: OneLogRequest): Promise<void> {
  const { name } = request;
  return answer(request, logRoutePermissions.delete, name, noBody, async (begun) => {
    checkParams(request.params, routeParams.delete);
    if (name === defaultLog) throw forDefault("cannot be deleted");
    await change(request, begun, { kind: "delete", ...(await refOf(request, begun)) });
    return { status: 204, headers: { "cache-control": "no-store" } };
  });
}

function readSettings({ exchange, options }: OneLogRequest): Promise<Buffer> {
  rejectEncoding(exchange);
  return readBody(exchange, settingsBytesMax, options.memory);
}

/** Changes the log on the leader. */
function change(
  { exchange, options }: OneLogRequest,
  begun: BegunCall,
  wanted: LogChange,
): Promise<ChangedLog> {
  const forward = headerOf(exchange, forwardHeader) !== "no";
  const work = options.logs.named.change(wanted, appendOptionsOf(begun.call, {}, forward));
  return unlessAborted(work, begun.signal, "unknown");
}

/**
 * The log to change, and the version that If-Match requires of it. The ETag states the id too. Of several ETags, the one of the
 * log is required as it is on the leader.
 * @throws Fault "failed-precondition" for an id of another life of the cluster, or an ETag that no log has; "bad-request" for
 *   an ETag of another log than log_id; "not-found"
 */
async function refOf(
  request: OneLogRequest,
  begun: BegunCall,
): Promise<{ readonly log: LogRef; readonly version?: RaftIndex }> {
  const { exchange, name, params } = request;
  const log = request.options.logs.refFor(begun.call, logOf(request));
  assert(log !== undefined, "the log default is not changed");
  rejectConditions(exchange, ["If-None-Match"], "a change or a deletion of a log takes If-Match");
  const required = requiredLogs(listOf(exchange, "if-match"));
  if (required === undefined) return { log };
  const isStated = (one: RequiredLog): boolean => one.life === log.life && one.id === log.id;
  const [first, ...others] = params.has("log_id") ? required.filter(isStated) : required;
  if (first === undefined) {
    throw new Fault("bad-request", {
      message: "If-Match has no ETag of the log that log_id states",
      facts: { field: "If-Match" },
    });
  }
  const { life, id, version } =
    others.length === 0 ? first : await present(request, begun, [first, ...others]);
  return { log: { name, life, id }, version };
}

/** The one of several that the log is now. If it is none of them, the leader refuses the one that is returned. */
async function present(
  { options, name }: OneLogRequest,
  begun: BegunCall,
  required: RequiredLogs,
): Promise<RequiredLog> {
  const { life, id, version } = await options.logs.named
    .open({ name })
    .info({ ...freshnessOf(begun), mode: "linearizable" });
  const same = required.filter((one) => one.life === life && one.id === id);
  return same.find((one) => one.version === version) ?? same[0] ?? required[0];
}

/** The log that was there before a PUT, if it has the settings that the PUT states. @throws Fault "already-exists" otherwise */
async function sameLog(
  request: OneLogRequest,
  begun: BegunCall,
  settings: NamedLogSettings,
  refusal: Fault,
): Promise<LogInfo> {
  const { logs } = request.options;
  const freshness = freshnessOf(begun);
  // As it is on the leader, and not as this node last received it.
  await logs.named.open({ name: request.name }).bounds({ ...freshness, mode: "linearizable" });
  const info = await logs.infoFor(begun.call, logOf(request), freshness);
  if (info === undefined) throw refusal;
  const stated = settingKeys.filter((key) => settings[key] !== undefined);
  const differences = settingDifferences(settings, info.settings, stated);
  if (differences === "") return info;
  throw existing(info.name, false, ` with other settings: ${differences}. PATCH changes them`);
}

/** Returns whether the request has `If-None-Match: *`. @throws Fault "bad-request" for another condition */
function requiresNew({ exchange }: OneLogRequest): boolean {
  rejectConditions(exchange, ["If-Match"], "PUT creates a log and takes If-None-Match: *");
  const noneMatch = headerOf(exchange, "if-none-match")?.trim();
  if (noneMatch === undefined || noneMatch === "*") return noneMatch === "*";
  throw new Fault("bad-request", {
    message: "If-None-Match of a PUT must be *",
    facts: { field: "If-None-Match" },
  });
}

const existing = (name: string, mustBeNew: boolean, why = ": If-None-Match requires a new one"): Fault =>
  new Fault("already-exists", {
    message: `log "${name}" exists${why}`,
    facts: { name, ...(mustBeNew ? { reason: logExists } : {}) },
  });

const forDefault = (what: string): Fault =>
  new Fault("bad-request", { message: `log "${defaultLog}" ${what}`, facts: { field: "log" } });

/** The response that names the log. Its extent is only for callers who may describe it. */
function identity(log: LogInfo, status: 200 | 201, more: { readonly closed?: true } = {}): LogResponse {
  const headers = { "content-type": "application/json", "cache-control": "no-store", etag: tagOfLog(log) };
  const path = `/logs/${log.name.split("/").map(encodeURIComponent).join("/")}`;
  const location: Record<string, string> = status === 201 ? { location: path } : {};
  return { status, headers: { ...headers, ...location }, body: jsonLine({ ...identityOf(log), ...more }) };
}
