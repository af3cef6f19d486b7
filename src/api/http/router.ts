/**
 * The front of the service: every request of either version of HTTP comes in here and goes to its route. Streams of
 * HTTP/2 are offered to the fast path first.
 *
 *   /log.v1.… /grpc.…   RPCs          /        chapter 1          /tail   live tail          /ui/   the dashboard
 *
 * This is also the boundary of a request: whatever a route throws ends its exchange, with one log line.
 */
import type { IncomingHttpHeaders } from "node:http2";
import { Fault } from "../../fault.ts";
import type { H2Stream } from "../../http2/mod.ts";
import type { Telemetry } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { permissionOfPath } from "../calls/method-permissions.ts";
import type { RpcHandler } from "../connect/rpc-routes.ts";
import type { FastPath } from "../fast-path/fast-path.ts";
import { type Exchange, headerOf, pathOf, quoted } from "./exchange/exchange.ts";
import { H2Exchange } from "./exchange/h2-exchange.ts";
import { type ProduceConsumeOptions, serveProduceConsume } from "./http-produce-consume.ts";
import { type TailOptions, tail } from "./http-tail.ts";
import {
  canChangeState,
  corsHeaders,
  isKnownHost,
  type OriginRules,
  preflightHeaders,
} from "./origin-rules.ts";
import { refuse } from "./route-refusal.ts";
import { recordUnroutedRequest } from "./unrouted-requests.ts";

/** Serves a page of the dashboard, or answers false. */
export type Pages = (exchange: Exchange) => boolean;

export interface RouterOptions {
  readonly rpc: RpcHandler;
  readonly produceConsume: ProduceConsumeOptions;
  readonly tail: TailOptions;
  readonly origins: OriginRules;
  readonly clock: Clock;
  readonly telemetry: Pick<Telemetry, "begin" | "log">;
  readonly fastPath?: FastPath | undefined;
  readonly pages?: Pages | undefined;
  /** Where probes and metrics are, as `host:port`: named to a caller who asks for them here. */
  readonly opsAddress?: string | undefined;
}

/** Where the listener delivers. Neither method throws. */
export interface Router {
  /** A request over HTTP/1.1. */
  request(exchange: Exchange, caller: ClientConnection): void;
  /** A stream of HTTP/2 that has just been opened. Its headers may be shared with other streams. */
  stream(stream: H2Stream, headers: IncomingHttpHeaders, caller: ClientConnection): void;
}

export function createRouter(options: RouterOptions): Router {
  const { origins, fastPath } = options;
  const { begin, log } = options.telemetry;
  const date = httpDate(options.clock);

  const route = (exchange: Exchange, caller: ClientConnection): Promise<void> | undefined => {
    const path = pathOf(exchange);
    const origin = headerOf(exchange, "origin");
    const shared = origin === undefined ? undefined : corsHeaders(origin, origins);
    if (origin !== undefined) exchange.setHeader("vary", "Origin");
    if (shared !== undefined) for (const name in shared) exchange.setHeader(name, shared[name] as string);
    if (exchange.method === "OPTIONS") {
      exchange.send(204, shared === undefined ? { allow: "GET, POST" } : preflightHeaders, "");
      return undefined;
    }
    // Before any route: a browser asks by a preflight for some content types only, and a page may have got around it.
    if (exchange.method !== "GET" && !canChangeState(provenanceOf(exchange, caller, origin), origins)) {
      const message = `a page of ${quoted(origin ?? "another site")} may not do this; --cors-origins lists those that may`;
      recordUnroutedRequest(begin, exchange, caller, "permission_denied");
      refuse(exchange, { fault: new Fault("permission-denied", { message }), status: 403 });
      return undefined;
    }
    const rpc = options.rpc(exchange, caller);
    if (rpc !== undefined) return rpc;
    if (path === "/") return serveProduceConsume(exchange, caller, options.produceConsume);
    if (path === "/tail") return tail(exchange, caller, options.tail);
    const isPage = path === "/ui" || path.startsWith("/ui/");
    if (!isPage || !options.pages?.(exchange)) refuseUnknown(exchange, caller, path);
    return undefined;
  };

  const refuseUnknown = (exchange: Exchange, caller: ClientConnection, path: string): void => {
    const isRpc = isRpcRequest(exchange, path);
    recordUnroutedRequest(begin, exchange, caller, isRpc ? "unimplemented" : "not_found");
    const fault = isRpc
      ? new Fault("unimplemented", {
          message: `there is no service for ${quoted(path)}; grpcurl can list those that are`,
        })
      : new Fault("not-found", { message: notHere(path, options.opsAddress) });
    refuse(exchange, { fault, status: 404 });
  };

  /** The last name that was asked about: nearly all callers use the same one. */
  let asked: { readonly authority: string; readonly known: boolean } | undefined;
  const knows = (authority: string | undefined, caller: ClientConnection): boolean => {
    if (caller.secure) return true;
    if (authority === undefined) return false;
    if (asked?.authority !== authority) asked = { authority, known: isKnownHost(authority, origins) };
    return asked.known;
  };

  const answer = (exchange: Exchange, caller: ClientConnection): Promise<void> | undefined => {
    if (!knows(exchange.authority, caller)) {
      const message = `this server is not called "${quoted(exchange.authority ?? "")}"; use localhost or an address, or --allow-hosts`;
      recordUnroutedRequest(begin, exchange, caller, "permission_denied");
      refuse(exchange, { fault: new Fault("permission-denied", { message }), status: 403 });
      return undefined;
    }
    if (exchange.method === "CONNECT") {
      const message = "CONNECT is not served here, this is no proxy";
      const headers = { allow: "GET, POST" };
      refuse(exchange, { fault: new Fault("unimplemented", { message }), status: 405, headers });
      return undefined;
    }
    const expectation = headerOf(exchange, "expect");
    if (expectation === undefined || expectation.toLowerCase() === "100-continue")
      return route(exchange, caller);
    const message = `the expectation "${quoted(expectation)}" cannot be met, only 100-continue`;
    refuse(exchange, { fault: new Fault("bad-request", { message }), status: 417 });
    return undefined;
  };

  const failed = (exchange: Exchange, reason: unknown): void => {
    log.error({ err: reason, method: exchange.method, path: pathOf(exchange) }, "a request failed");
    try {
      const fault = new Fault("unknown", {
        message: "the request could not be served",
        written: "unknown",
        unexpected: true,
      });
      if (exchange.headersSent) exchange.destroy();
      else refuse(exchange, { fault, status: 500 });
    } catch (err) {
      log.error({ err }, "a failed request could not be answered");
      exchange.destroy();
    }
  };

  const request = (exchange: Exchange, caller: ClientConnection): void => {
    try {
      answer(exchange, caller)?.catch((reason: unknown) => failed(exchange, reason));
    } catch (reason) {
      failed(exchange, reason);
    }
  };

  return {
    request,
    stream(stream, headers, caller) {
      if (permissionOfPath(headers[":path"] ?? "")?.long === true) stream.allowLongRequest();
      const known = fastPath !== undefined && knows(headers[":authority"] ?? headers.host, caller);
      if (known && fastPath(stream, headers, caller)) stream.isLight = true;
      else request(new H2Exchange(stream, headers, date), caller);
    },
  };
}

const opsPaths: ReadonlySet<string> = new Set(["/livez", "/healthz", "/readyz", "/metrics", "/version"]);

/** What the answer to an unknown path says; people look for probes and metrics on the port that they know. */
function notHere(path: string, opsAddress: string | undefined): string {
  if (!opsPaths.has(path)) return `there is no ${quoted(path)} here, only /, /tail, /ui/ and the RPCs`;
  const where = opsAddress === undefined ? "the address of --ops-addr" : `http://${opsAddress}${path}`;
  return `${path} is not on this port, it is at ${where}`;
}

/** A client of an RPC protocol, by its content type or by a path that only such a client asks for. */
function isRpcRequest(exchange: Exchange, path: string): boolean {
  if (/^application\/(grpc|connect\+|proto$)/.test(headerOf(exchange, "content-type") ?? "")) return true;
  const isPath = /^\/[A-Za-z_][\w.]{0,254}\/[A-Za-z_]\w{0,254}$/.test(path);
  return (
    isPath && (exchange.method === "POST" || headerOf(exchange, "connect-protocol-version") !== undefined)
  );
}

function provenanceOf(exchange: Exchange, caller: ClientConnection, origin: string | undefined) {
  // Only a page's request is compared with it.
  const self =
    origin === undefined ? "" : `${caller.secure ? "https" : "http"}://${exchange.authority ?? ""}`;
  return { origin, fetchSite: headerOf(exchange, "sec-fetch-site"), self };
}

/** The value of the field `date`, made once a second. */
function httpDate(clock: Clock): () => string {
  let second = Number.NaN;
  let text = "";
  return () => {
    const now = Math.floor(clock.wallMs() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toUTCString();
    }
    return text;
  };
}
