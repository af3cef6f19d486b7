/**
 * Logs and counts requests that reach no method and no route: an unknown path, a page of another site, a name that is
 * not the name of this server. The log line has the path, so an operator sees who probes the server, and where.
 */
import type { Telemetry } from "../../lib/telemetry.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { callMetaOf } from "./call-meta.ts";
import { type Exchange, pathOf } from "./exchange/exchange.ts";

/** Methods that become a label of a metric. A client can send any word. */
const knownMethods: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
]);

/** Records that the request was refused with this code. The caller sends the response. */
export function recordUnroutedRequest(
  begin: Telemetry["begin"],
  exchange: Exchange,
  client: ClientConnection,
  code: string,
): void {
  const call = begin({
    ...callMetaOf(exchange),
    method: knownMethods.has(exchange.method) ? exchange.method : "_OTHER",
    subject: client.identity.subject,
    peer: client.peer,
  });
  call.tag("path", pathOf(exchange));
  call.end(code, 0, 0);
}
