/**
 * Routes every request of either version of HTTP. Streams of HTTP/2 are offered to the fast path first.
 *
 *   /log.v1.… /grpc.…   RPCs        /   produce and consume        /tail   live tail
 *   /tickets   tickets for tails
 *   /logs, /logs/NAME   named logs        /v1/stream/NAME   Durable Streams        /cursors, /cursors/NAME   cursors
 *   /ui/   the dashboard        /docs/   the handbook        /login, /logout   sessions of browsers
 *
 * The router is also the error boundary of a request: what a route throws ends its exchange, with one log line.
 */
import type { IncomingHttpHeaders } from "node:http2";
import { Fault } from "../../fault.ts";
import type { H2Stream } from "../../http2/mod.ts";
import type { Telemetry } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { codeName, codeOf, httpErrorOf } from "../calls/error-mapping.ts";
import { permissionOfPath } from "../calls/method-permissions.ts";
import type { RpcHandler } from "../connect/rpc-routes.ts";
import type { FastPath } from "../fast-path/fast-path.ts";
import type { FastStream } from "../fast-path/fast-stream.ts";
import { clientWith, statesToken, type TokenReader } from "./bearer.ts";
import { Credentials } from "./credentials.ts";
import { cursorMethodsOf, isCursorsPath, serveCursors } from "./cursors/cursor-routes.ts";
import { isStreamPath } from "./durable-streams/stream-path.ts";
import { answerStreamPreflight, serveStream } from "./durable-streams/stream-routes.ts";
import { type Exchange, headerOf, pathOf, queryOf, quoted } from "./exchange/exchange.ts";
import { H2Exchange } from "./exchange/h2-exchange.ts";
import { checkQueryText } from "./exchange/query-text.ts";
import { httpDate } from "./http-date.ts";
import { type ProduceConsumeOptions, serveProduceConsume } from "./http-produce-consume.ts";
import { serveTail, type TailOptions } from "./http-tail.ts";
import { type LoginOptions, LoginRoutes } from "./login/login-routes.ts";
import type { LogRouteOptions } from "./logs/log-call.ts";
import { isLogsPath } from "./logs/log-path.ts";
import { methodsOf, serveLogs } from "./logs/log-routes.ts";
import { namesLog, serveTailOfLog } from "./logs/log-tail.ts";
import {
  canChangeState,
  corsHeaders,
  isKnownHost,
  type OriginRules,
  preflightHeaders,
  provenanceOf,
} from "./origin-rules.ts";
import { refuse, refuseUnknownPath } from "./route-refusal.ts";
import { isSitePath } from "./static-files.ts";
import { requireTicketRoute, type Tickets, takeTicket } from "./tickets/ticket-parameter.ts";
import { serveTickets, ticketsPath } from "./tickets/ticket-routes.ts";
import { recordUnroutedRequest } from "./unrouted-requests.ts";

/** Serves a file of the dashboard or of the handbook, or returns false. */
export type Pages = (exchange: Exchange) => boolean;

export interface RouterOptions {
  readonly rpc: RpcHandler;
  readonly produceConsume: ProduceConsumeOptions;
  readonly tail: TailOptions;
  readonly logs: LogRouteOptions;
  readonly origins: OriginRules;
  readonly clock: Clock;
  readonly telemetry: Pick<Telemetry, "begin" | "log" | "metrics">;
  /** Default: the header Authorization is ignored. */
  readonly tokens?: TokenReader | undefined;
  /** Default: there are no tickets, and their parameter is one that no route has. */
  readonly tickets?: Tickets | undefined;
  /** Default: there is no login, and cookies are ignored. */
  readonly login?: LoginOptions | undefined;
  readonly fastPath?: FastPath | undefined;
  readonly pages?: Pages | undefined;
  /** `host:port` of probes and metrics. The refusal of such a path names it. */
  readonly opsAddress?: string | undefined;
}

/** The listener delivers requests here. The methods do not throw. */
export interface Router {
  /** Serves a request over HTTP/1.1. */
  request(exchange: Exchange, client: ClientConnection): void;
  /** Serves a new stream of HTTP/2. Streams can share a headers object. */
  stream(stream: H2Stream, headers: IncomingHttpHeaders, client: ClientConnection): void;
  /**
   * Resolves when it is known what the token of a POST over HTTP/1.1 is worth: then direct() serves it, or request() refuses it.
   * Undefined: there is nothing to wait for. It does not reject.
   */
  prepare(headers: IncomingHttpHeaders, client: ClientConnection): Promise<void> | undefined;
  /**
   * Serves a POST over HTTP/1.1 on the fast path, with the headers as in HTTP/2. Returns false, and leaves the stream
   * untouched, if the fast path does not serve it: request() must.
   */
  direct(stream: FastStream, headers: IncomingHttpHeaders, client: ClientConnection): boolean;
}

/** Creates the router of a service. */
export function createRouter(options: RouterOptions): Router {
  return new HttpRouter(options);
}

class HttpRouter implements Router {
  readonly #options: RouterOptions;
  readonly #date: () => string;
  readonly #credentials: Credentials;
  readonly #login: LoginRoutes | undefined;
  /** The last authority that was checked. Nearly all clients use the same one. */
  #checked: { readonly authority: string; readonly known: boolean } | undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#date = httpDate(options.clock);
    const { tokens, login, origins, clock, telemetry } = options;
    this.#credentials = new Credentials({ tokens, login, origins });
    const { memory } = options.tail;
    this.#login =
      login === undefined ? undefined : new LoginRoutes({ ...login, origins, clock, telemetry, memory });
  }

  request(exchange: Exchange, client: ClientConnection): void {
    try {
      this.#serve(exchange, client)?.catch((reason: unknown) => this.#fail(exchange, reason));
    } catch (reason) {
      this.#fail(exchange, reason);
    }
  }

  prepare(headers: IncomingHttpHeaders, client: ClientConnection): Promise<void> | undefined {
    if (headers.authorization === undefined) return undefined;
    const path = headers[":path"] ?? "";
    const mayBeFast =
      this.#options.fastPath !== undefined && (path === "/" || permissionOfPath(path) !== undefined);
    if (!mayBeFast || !this.#isKnown(headers.host, client)) return undefined;
    return this.#credentials.prepare(headers.authorization, client);
  }

  direct(stream: FastStream, headers: IncomingHttpHeaders, client: ClientConnection): boolean {
    const { fastPath } = this.#options;
    if (fastPath === undefined || !this.#isKnown(headers[":authority"] ?? headers.host, client)) return false;
    // request() waits for a token that is not known yet, as in HTTP/2, and refuses one that is not valid.
    const holder = this.#credentials.known(headers, client);
    return holder !== undefined && fastPath(stream, headers, holder);
  }

  stream(stream: H2Stream, headers: IncomingHttpHeaders, client: ClientConnection): void {
    if (permissionOfPath(headers[":path"] ?? "")?.long === true) stream.allowLongRequest();
    if (this.direct(stream, headers, client)) stream.isLight = true;
    else this.request(new H2Exchange(stream, headers, this.#date), client);
  }

  /** Checks what concerns the whole server, before the route. */
  #serve(exchange: Exchange, client: ClientConnection): Promise<void> | undefined {
    if (!this.#isKnown(exchange.authority, client)) {
      const message = `this server is not called "${quoted(exchange.authority ?? "")}"; use localhost or an address, or --allow-hosts`;
      recordUnroutedRequest(this.#options.telemetry.begin, exchange, client, "permission_denied");
      refuse(exchange, { fault: new Fault("permission-denied", { message }), status: 403 });
      return undefined;
    }
    if (exchange.method === "CONNECT") {
      const message = "CONNECT is not supported, this server is not a proxy";
      const headers = { allow: "GET, POST" };
      refuse(exchange, { fault: new Fault("unimplemented", { message }), status: 405, headers });
      return undefined;
    }
    const expectation = headerOf(exchange, "expect");
    if (expectation !== undefined && expectation.toLowerCase() !== "100-continue") {
      const message = `the expectation "${quoted(expectation)}" cannot be met, only 100-continue`;
      refuse(exchange, { fault: new Fault("bad-request", { message }), status: 417 });
      return undefined;
    }
    if (!this.#passesOriginRules(exchange, client)) return undefined;
    const login = this.#login?.serve(exchange, client);
    if (login !== undefined) return login;
    const holder = this.#holderOf(exchange, client);
    return holder === undefined ? this.#route(exchange, client) : this.#routeAs(holder, exchange, client);
  }

  /** The holder of the ticket, the token or the session of a request; undefined if it states none. */
  #holderOf(exchange: Exchange, client: ClientConnection): Promise<ClientConnection> | undefined {
    const { tickets } = this.#options;
    if (tickets !== undefined) {
      const given = takeTicket(exchange);
      if (given !== undefined) return holderOfTicket(tickets, given, exchange, client);
    }
    // The page that lets a user log in again is served also with the cookie of a session that has ended.
    const isPage = isSitePath(pathOf(exchange)) && !statesToken(exchange.headers["authorization"]);
    return isPage ? undefined : this.#credentials.of(exchange, client);
  }

  /** Routes the request of the holder of a token, a ticket or a session, or refuses it. */
  async #routeAs(
    known: Promise<ClientConnection>,
    exchange: Exchange,
    client: ClientConnection,
  ): Promise<void> {
    let holder: ClientConnection;
    try {
      holder = await known;
    } catch (reason) {
      const fault = Fault.from(reason);
      const { status, headers } = httpErrorOf(fault);
      recordUnroutedRequest(this.#options.telemetry.begin, exchange, client, codeName(codeOf(fault)));
      const { "retry-after": later } = headers;
      refuse(exchange, {
        fault,
        status,
        headers: {
          ...(later === undefined ? {} : { "retry-after": later }),
          ...(status === 401 ? { "www-authenticate": 'Bearer error="invalid_token"' } : {}),
        },
      });
      return;
    }
    await this.#route(exchange, holder);
  }

  /** Applies the rules for pages of other origins. Returns false if it has sent the response. */
  #passesOriginRules(exchange: Exchange, client: ClientConnection): boolean {
    const { origins, telemetry } = this.#options;
    const origin = headerOf(exchange, "origin");
    const cors = origin === undefined ? undefined : corsHeaders(origin, origins);
    if (origin !== undefined) exchange.setHeader("vary", "Origin");
    if (cors !== undefined) for (const name in cors) exchange.setHeader(name, cors[name] as string);
    if (exchange.method === "OPTIONS") {
      answerPreflight(exchange, origin, cors !== undefined);
      return false;
    }
    // A preflight is not enough: a browser sends one only for some content types.
    const isRead = exchange.method === "GET" || exchange.method === "HEAD";
    if (!isRead && !canChangeState(provenanceOf(exchange, client.secure), origins)) {
      const message = `a page of ${quoted(origin ?? "another site")} is not allowed to do this; --cors-origins lists the pages that are`;
      recordUnroutedRequest(telemetry.begin, exchange, client, "permission_denied");
      refuse(exchange, { fault: new Fault("permission-denied", { message }), status: 403 });
      return false;
    }
    return true;
  }

  #route(exchange: Exchange, client: ClientConnection): Promise<void> | undefined {
    const { rpc, produceConsume, tail, logs, pages, telemetry, tickets, opsAddress } = this.#options;
    if (!this.#hasQueryText(exchange, client)) return undefined;
    const call = rpc(exchange, client);
    if (call !== undefined) return call;
    const path = pathOf(exchange);
    if (path === "/") return serveProduceConsume(exchange, client, produceConsume);
    if (path === "/tail") {
      return namesLog(exchange) ? serveTailOfLog(exchange, client, logs) : serveTail(exchange, client, tail);
    }
    if (isCursorsPath(path)) return serveCursors(exchange, client, logs);
    if (isLogsPath(path)) return serveLogs(exchange, client, logs);
    if (isStreamPath(path)) return serveStream(exchange, client, logs);
    if (path === ticketsPath && tickets !== undefined) return serveTickets(exchange, client, logs, tickets);
    if (isSitePath(path) && pages?.(exchange)) return undefined;
    recordUnroutedRequest(telemetry.begin, exchange, client, refuseUnknownPath(exchange, opsAddress));
    return undefined;
  }

  /** Returns false if it has refused a query that is no text. */
  #hasQueryText(exchange: Exchange, client: ClientConnection): boolean {
    try {
      checkQueryText(queryOf(exchange));
      return true;
    } catch (reason) {
      const fault = Fault.from(reason);
      recordUnroutedRequest(this.#options.telemetry.begin, exchange, client, codeName(codeOf(fault)));
      refuse(exchange, { fault, status: httpErrorOf(fault).status });
      return false;
    }
  }

  /** Returns whether the client can use this name for the server. Over TLS, the certificate shows the name. */
  #isKnown(authority: string | undefined, client: ClientConnection): boolean {
    if (client.secure) return true;
    if (authority === undefined) return false;
    if (this.#checked?.authority !== authority)
      this.#checked = { authority, known: isKnownHost(authority, this.#options.origins) };
    return this.#checked.known;
  }

  #fail(exchange: Exchange, reason: unknown): void {
    const { log } = this.#options.telemetry;
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
      log.error({ err }, "no response could be sent to a failed request");
      exchange.destroy();
    }
  }
}

/** Answers OPTIONS. `isListed`: the origin is one of --cors-origins. */
function answerPreflight(exchange: Exchange, origin: string | undefined, isListed: boolean): void {
  const path = pathOf(exchange);
  if (isListed) exchange.send(204, preflightHeaders, "");
  else if (isStreamPath(path)) answerStreamPreflight(exchange, origin);
  else exchange.send(204, { allow: allowedFor(path) }, "");
}

/** @throws Fault "bad-request" for another request than a tail, and what Tickets.redeem() throws */
async function holderOfTicket(
  tickets: Tickets,
  given: readonly string[],
  exchange: Exchange,
  client: ClientConnection,
): Promise<ClientConnection> {
  const ticket = requireTicketRoute(exchange, given);
  return clientWith(client, await tickets.redeem(ticket, client.peer));
}

function allowedFor(path: string): string {
  if (path === ticketsPath) return "POST";
  if (isCursorsPath(path)) return cursorMethodsOf(path);
  return isLogsPath(path) ? methodsOf(path) : "GET, POST";
}
