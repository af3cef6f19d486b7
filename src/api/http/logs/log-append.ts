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
import type { Appended, RecordParts, RecordRun } from "../../../types.ts";
import { unlessAborted } from "../../calls/abort.ts";
import { logRoutePermissions } from "../../calls/method-permissions.ts";
import { forwardHeader } from "../../calls/request-headers.ts";
import { appendFor, appendOptionsOf } from "../../methods/append.ts";
import type { AppendRequest } from "../../methods/append-request.ts";
import { type Exchange, headerOf } from "../exchange/exchange.ts";
import { readBody } from "../exchange/read-body.ts";
import { rejectEncoding } from "../http-produce-consume.ts";
import { parseBody, recordsOf } from "../produce-consume-json.ts";
import { expectedOffsetOf, keyOf, producerOf } from "./append-headers.ts";
import { rejectConditions } from "./entity-tags.ts";
import {
  answer,
  type BegunCall,
  checkParams,
  idHeader,
  isFlag,
  jsonLine,
  logOf,
  type OneLogRequest,
} from "./log-call.ts";
import { routeParams } from "./route-params.ts";

/** What a body holds. */
interface Posted {
  readonly records: readonly Partial<RecordParts>[];
  /** For the header Tailrace-Stored: how the body was read. */
  readonly stored: string;
}

/** Serves `POST /logs/NAME`. */
export function postToLog(request: OneLogRequest): Promise<void> {
  const { exchange, options, params, name } = request;
  return answer(
    request,
    logRoutePermissions.produce,
    name,
    async () => {
      checkParams(params, routeParams.produce);
      rejectConditions(exchange, ["If-Match", "If-None-Match"], "an append takes Tailrace-Expected-Offset");
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
          ...idHeader(options.logs.idText(appended.logId)),
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

function append(request: OneLogRequest, { call, signal }: BegunCall, run: RecordRun): Promise<Appended> {
  const { exchange, options, params } = request;
  const mayCreate = isFlag(params, "create");
  const log = options.logs.refFor(call, logOf(request));
  const wanted: AppendRequest = {
    run,
    log,
    expectedOffset: expectedOffsetOf(exchange),
    producer: producerOf(exchange, call.subject),
  };
  const forward = headerOf(exchange, forwardHeader) !== "no";
  const work = (): Promise<Appended> => appendFor(options, call, wanted, forward, signal);
  if (!mayCreate || log === undefined) return work();
  if (log.id !== undefined)
    throw new Fault("bad-request", {
      message: "create cannot be combined with log_id: a new log gets another id",
      facts: { field: "create" },
    });
  return work().catch(async (reason: unknown) => {
    if (!(reason instanceof Fault) || reason.facts.reason !== "NO_SUCH_LOG") throw reason;
    await create(request, { call, signal }, forward);
    return work();
  });
}

/** Creates the log with default settings. One that was created in the meantime is as good. */
async function create(
  { client, options, name }: OneLogRequest,
  { call, signal }: BegunCall,
  forward: boolean,
): Promise<void> {
  options.access.authorize(client.identity, name, "create");
  const wanted = { kind: "create", name, settings: {} } as const;
  try {
    const work = options.logs.named.change(wanted, appendOptionsOf(call, {}, forward));
    await unlessAborted(work, signal, "unknown");
  } catch (reason) {
    if (!(reason instanceof Fault && reason.kind === "already-exists")) throw reason;
  }
}
