/**
 * The ticket in the query of a tail: `?ticket=TICKET`. An EventSource of a browser cannot send the header Authorization. A ticket counts
 * instead of it, and instead of the rights of the connection.
 */
import type { Identity, TicketLogs } from "../../../access/mod.ts";
import { Fault } from "../../../fault.ts";
import { isStreamPath } from "../durable-streams/stream-path.ts";
import { type Exchange, headerOf, pathOf, queryOf, quoted } from "../exchange/exchange.ts";
import { isLogsPath, logsPath } from "../logs/log-path.ts";
import { isSitePath } from "../static-files.ts";

/** Makes and takes tickets. */
export interface Tickets {
  /** Returns a ticket that opens one tail of these logs. @throws Fault "overloaded" */
  issue(holder: Identity, logs: TicketLogs): string;
  /**
   * Resolves to the identity of the holder of a ticket, which is used then. `peer` is the address and port of the client.
   * @throws Fault "unauthenticated", "overloaded", "failed-precondition"
   */
  redeem(ticket: string, peer: string): Promise<Identity>;
}

const param = "ticket";

/**
 * Removes the tickets from the target of a request and returns them, undefined if there are none. So no log line, error, trace or
 * redirect has a ticket. The files of the dashboard and the handbook ignore their query.
 */
export function takeTicket(exchange: Exchange): readonly string[] | undefined {
  const query = queryOf(exchange);
  if (query === "") return undefined;
  const path = pathOf(exchange);
  if (isSitePath(path)) return undefined;
  const found: string[] = [];
  const rest = query.split("&").filter((part) => {
    const [first] = new URLSearchParams(part);
    if (first?.[0] !== param) return true;
    found.push(first[1]);
    return false;
  });
  if (found.length === 0) return undefined;
  exchange.target = rest.length === 0 ? path : `${path}?${rest.join("&")}`;
  return found;
}

/**
 * Returns the ticket of a request that a ticket can open.
 * @throws Fault "bad-request" for another request, which does not use the ticket
 */
export function requireTicketRoute(exchange: Exchange, given: readonly string[]): string {
  const [ticket, ...more] = given;
  if (ticket === undefined || more.length > 0) throw wrong("ticket is given more than once");
  if (headerOf(exchange, "authorization") !== undefined)
    throw wrong("the request has a ticket and the header Authorization, one of them is enough");
  if (isTail(exchange)) return ticket;
  throw wrong(
    `a ticket opens GET /tail, GET /logs/NAME with accept: text/event-stream, and GET /v1/stream/NAME with live=sse, not ${quoted(exchange.method)} ${quoted(pathOf(exchange))}`,
  );
}

function isTail(exchange: Exchange): boolean {
  if (exchange.method !== "GET") return false;
  const path = pathOf(exchange);
  if (path === "/tail") return true;
  const params = new URLSearchParams(queryOf(exchange));
  if (isStreamPath(path)) return params.get("live") === "sse";
  const accepts = headerOf(exchange, "accept") ?? "";
  return (
    isLogsPath(path) && path !== logsPath && !params.has("offset") && /\btext\/event-stream\b/.test(accepts)
  );
}

const wrong = (message: string): Fault => new Fault("bad-request", { message, facts: { field: param } });
