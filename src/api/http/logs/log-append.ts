/**
 * `POST /logs/NAME`: appends to a log.
 *
 *   application/vnd.tailrace+json    {"record": {…}} or {"records": [{…}, …]}
 *   any other type                   the body is the value of one record, as it is
 *
 * With `?create`, the log is created if it is not there and the caller may create it.
 */
import { Fault } from "../../../fault.ts";
import { workTurns } from "../../../lib/time/work-turns.ts";
import { encodeRun, walkRecords } from "../../../log/mod.ts";
import type { Appended, CommitLog, NamedCommitLog, RecordParts, RecordRun } from "../../../types.ts";
import { unlessAborted } from "../../calls/abort.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { appendFor, appendOptionsOf } from "../../methods/append.ts";
import type { AppendRequest } from "../../methods/append-request.ts";
import { logIdText } from "../../methods/log-id.ts";
import { defaultLog } from "../../methods/log-name.ts";
import { type Exchange, headerOf } from "../exchange/exchange.ts";
import { readBody } from "../exchange/read-body.ts";
import { rejectEncoding } from "../http-produce-consume.ts";
import { parseBody, recordsOf } from "../produce-consume-json.ts";
import { expectedOffsetOf, keyOf, producerOf } from "./append-headers.ts";
import {
  answer,
  type BegunCall,
  checkParams,
  freshnessOf,
  isFlag,
  jsonLine,
  type OneLogRequest,
} from "./log-call.ts";
import { catalogOf, findLog, openNamed, requireNoId } from "./opened-log.ts";

/** What a body holds. */
interface Posted {
  readonly records: readonly Partial<RecordParts>[];
  /** For the header Tailrace-Stored: how the body was read. */
  readonly stored: string;
}

/** Serves `POST /logs/NAME`. */
export function postToLog(request: OneLogRequest): Promise<void> {
  const { exchange, options, params, target } = request;
  return answer(
    request,
    logRoutePermissions.produce,
    target.name,
    async () => {
      checkParams(params, ["create", "log_id"]);
      rejectEncoding(exchange);
      const body = await readBody(exchange, options.requestBytesMax, options.memory);
      await workTurns(options.clock).next();
      return body;
    },
    async (begun, body) => {
      const { records, stored } = postedOf(exchange, body);
      const appended = await append(
        request,
        begun,
        walkRecords(encodeRun(records).bytes, options.recordLimits),
      );
      const isOne = records.length === 1 && !stored.startsWith("records");
      return {
        status: 200,
        headers: {
          "content-type": "application/json",
          "cache-control": "no-store",
          "tailrace-stored": stored,
          ...appended.headers,
        },
        body: jsonLine({
          offset: appended.firstOffset,
          ...(isOne ? {} : { count: appended.count }),
          ...(appended.duplicate ? { duplicate: true } : {}),
        }),
      };
    },
  );
}

const structuredType = /^application\/vnd\.tailrace\+json *(;|$)/i;

function postedOf(exchange: Exchange, body: Buffer): Posted {
  const key = keyOf(exchange);
  if (!structuredType.test(headerOf(exchange, "content-type") ?? ""))
    return {
      records: [{ value: body, ...(key === undefined ? {} : { key }) }],
      stored: `raw; bytes=${body.length}`,
    };
  if (key !== undefined)
    throw new Fault("bad-request", {
      message: "a body of JSON has the key in its record, not in a header",
      facts: { field: "Tailrace-Key" },
    });
  const { records, isList } = recordsOf(parseBody(body));
  return { records, stored: isList ? `records; count=${records.length}` : "record" };
}

/** Appends, and returns the headers that say to which log. */
async function append(
  request: OneLogRequest,
  begun: BegunCall,
  run: RecordRun,
): Promise<Appended & { readonly headers: Readonly<Record<string, string>> }> {
  const { exchange, options, target } = request;
  const mayCreate = isFlag(request.params, "create");
  const { call, signal } = begun;
  const wanted: AppendRequest = {
    run,
    expectedOffset: expectedOffsetOf(exchange),
    producer: producerOf(exchange, call.subject),
  };
  const forward = headerOf(exchange, forwardHeader) !== "no";
  const to = (log: CommitLog): Promise<Appended> =>
    appendFor({ ...options, log }, call, wanted, forward, signal);
  if (target.name === defaultLog) {
    requireNoId(target);
    return { ...(await to(options.log)), headers: {} };
  }
  // The life of a stated id is compared before the append.
  if (target.stated !== undefined) await findLog(options, target, freshnessOf(begun));
  let log = openNamed(options, target);
  let appended: Appended;
  try {
    appended = await to(log);
  } catch (reason) {
    const isAbsent = reason instanceof Fault && reason.facts.reason === "NO_SUCH_LOG";
    if (!isAbsent || !mayCreate || target.stated !== undefined) throw reason;
    await create(request, begun, forward);
    log = openNamed(options, target);
    appended = await to(log);
  }
  return { ...appended, headers: await idHeader(log) };
}

/** Creates the log with default settings. One that was created in the meantime is as good. */
async function create(
  { client, options, target }: OneLogRequest,
  begun: BegunCall,
  forward: boolean,
): Promise<void> {
  const { name } = target;
  options.access.authorize(client.identity, name, "create");
  const wanted = { kind: "create", name, settings: {} } as const;
  try {
    const work = catalogOf(options).change(wanted, appendOptionsOf(begun.call, {}, forward));
    await unlessAborted(work, begun.signal, "unknown");
  } catch (reason) {
    if (!(reason instanceof Fault && reason.kind === "already-exists")) throw reason;
  }
}

/** The id of the log of an append; none if the log was deleted since. */
async function idHeader(log: NamedCommitLog): Promise<Readonly<Record<string, string>>> {
  try {
    const { life, id } = await log.info();
    return { "tailrace-log-id": logIdText(life, id) };
  } catch {
    return {};
  }
}
