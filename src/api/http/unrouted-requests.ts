/**
 * The line and the count of a request that reached no door: a path that is not there, a page of another site, a name
 * that is not the server's. Who probes is seen, and by the path in the line, where.
 *
 * Never: answers it.
 */
import type { Telemetry } from "../../lib/telemetry.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { type Exchange, pathOf } from "./exchange/exchange.ts";
import { metaOf } from "./http-produce-consume.ts";

/** Methods that may name a series of a metric; a caller can send any word. */
const verbs: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Notes that it was refused with this code. */
export function recordUnroutedRequest(
  begin: Telemetry["begin"],
  exchange: Exchange,
  caller: ClientConnection,
  code: "not_found" | "permission_denied" | "unimplemented",
): void {
  const call = begin({
    ...metaOf(exchange),
    method: verbs.has(exchange.method) ? exchange.method : "_OTHER",
    subject: caller.identity.subject,
    peer: caller.peer,
  });
  call.tag("path", pathOf(exchange));
  call.end(code, 0, 0);
}
