/**
 * `POST /tickets`: makes a ticket, with which an EventSource opens one tail. The caller needs `consume` on each of the logs.
 *
 *   {"log":NAME}   {"logs":[NAME, …]}   {"prefix":TEXT}   an empty body: the log `default`
 */
import type { TicketLogs } from "../../../access/mod.ts";
import { Fault } from "../../../fault.ts";
import { ticketLifeMs, ticketLogsMax } from "../../../tokens/mod.ts";
import type { ClientConnection } from "../../calls/call-tracker.ts";
import { ticketPermission } from "../../calls/method-permissions.ts";
import { objectOfLog } from "../../methods/logs/log-directory.ts";
import { askedLogs } from "../../methods/tails/asked-logs.ts";
import { type Exchange, queryOf, quoted } from "../exchange/exchange.ts";
import { readBody } from "../exchange/read-body.ts";
import { rejectEncoding } from "../http-produce-consume.ts";
import { answer, checkParams, jsonLine, type LogRouteOptions, refuseMethod } from "../logs/log-call.ts";
import type { Tickets } from "./ticket-parameter.ts";

export const ticketsPath = "/tickets";

/** Each byte of a name may be escaped. */
const bodyBytesMax = 32 * 1024;
const known: readonly string[] = ["log", "logs", "prefix"];

export async function serveTickets(
  exchange: Exchange,
  client: ClientConnection,
  options: LogRouteOptions,
  tickets: Tickets,
): Promise<void> {
  if (exchange.method !== "POST") return refuseMethod(exchange, ticketsPath, "POST");
  const params = new URLSearchParams(queryOf(exchange));
  return answer(
    { exchange, client, options, params },
    ticketPermission,
    undefined,
    () => {
      rejectEncoding(exchange);
      return readBody(exchange, bodyBytesMax, options.memory);
    },
    async ({ call }, body) => {
      checkParams(params, []);
      const logs = ticketLogsOf(body);
      if ("objects" in logs) await options.calls.useLogs(call, logs.objects);
      else call.requireAllowed();
      const ticket = tickets.issue(client.identity, logs);
      return {
        status: 201,
        headers: { "content-type": "application/json", "cache-control": "no-store" },
        body: jsonLine({ ticket, expires_in_ms: ticketLifeMs }),
      };
    },
  );
}

/** @throws Fault "bad-request" that says what is wrong with the body */
function ticketLogsOf(body: Buffer): TicketLogs {
  const fields = fieldsOf(body);
  const [field = "log", ...more] = Object.keys(fields);
  if (!known.includes(field))
    return reject(`there is no field ${quoted(field)}, only ${known.join(", ")}`, field);
  if (more.length > 0) return reject("one of log, logs and prefix is enough", more[0]);
  const value = fields[field];
  if (field === "prefix") {
    if (typeof value !== "string") return reject("prefix must be a text", field);
    const asked = askedLogs({ ...nothing, names: [], prefix: value });
    return "prefix" in asked ? { prefix: asked.prefix } : reject("prefix must be a text", field);
  }
  const names: unknown = field === "logs" ? value : [value ?? "default"];
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    return reject(field === "logs" ? "logs must be a list of names" : "log must be a name", field);
  if (names.length > ticketLogsMax)
    return reject(
      `a ticket is for at most ${ticketLogsMax} logs, or for a prefix; these are ${names.length}`,
      field,
    );
  const asked = askedLogs({ ...nothing, names });
  return { objects: "names" in asked ? asked.names.map(({ log }) => objectOfLog(log)) : [] };
}

const nothing = { logIds: [], resume: "", fromStart: false } as const;

function fieldsOf(body: Buffer): Readonly<Record<string, unknown>> {
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return reject('the body is not JSON; expected {"log":NAME}, {"logs":[NAME]} or {"prefix":TEXT}', "body");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return reject(
      'the body is not an object; expected {"log":NAME}, {"logs":[NAME]} or {"prefix":TEXT}',
      "body",
    );
  return value as Readonly<Record<string, unknown>>;
}

const reject = (message: string, field = ""): never => {
  throw new Fault("bad-request", { message, facts: { field: quoted(field) } });
};
