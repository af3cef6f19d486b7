/**
 * Login and logout of browsers. The cookie of a session is set and removed here; credentials.ts reads it.
 *
 *   GET  /login?return=PATH   to the provider's page       GET /login/callback   from there
 *   POST /login/token         {"token": "…"}               GET /login/options    {"provider": name or null, "session": …, "left_ms"?}
 *   POST /logout
 *
 * Only POST /logout removes the cookie of a session. Any other response could arrive after that of a new login.
 */
import { Fault } from "../../../fault.ts";
import type { Telemetry } from "../../../lib/telemetry.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import type { MemoryBudget } from "../../../memory/mod.ts";
import type { Sessions } from "../../../tokens/mod.ts";
import type { ClientConnection } from "../../calls/call-tracker.ts";
import { codeName, codeOf, httpErrorOf } from "../../calls/error-mapping.ts";
import { type Exchange, pathOf, queryOf, quoted } from "../exchange/exchange.ts";
import { readBody } from "../exchange/read-body.ts";
import { canUseCookie, isKnownHost, type OriginRules, provenanceOf } from "../origin-rules.ts";
import { recordUnroutedRequest } from "../unrouted-requests.ts";
import { type Cookie, cookieOf, removeCookie, setCookie } from "./cookies.ts";
import { LoginLog, type LoginMethod } from "./login-log.ts";
import { type LoginPath, loginRoutes } from "./login-paths.ts";
import { type LoginProvider, loginMs, ProviderLogin, returnPathOf } from "./provider-login.ts";

export interface LoginOptions {
  readonly sessions: Pick<Sessions, "open" | "end" | "seal" | "unseal" | "known" | "identify" | "clusterTag">;
  /** Default: users log in with a token only. */
  readonly provider?: LoginProvider | undefined;
  /** The URL of /login/callback as browsers reach it. Default: by the name of the server in the request. */
  readonly callbackUrl?: string | undefined;
}

export interface LoginRoutesOptions extends LoginOptions {
  readonly origins: OriginRules;
  readonly clock: Clock;
  readonly memory: MemoryBudget;
  readonly telemetry: Pick<Telemetry, "begin" | "log" | "metrics">;
}

const bodyBytesMax = 16_384;
const noStore = { "cache-control": "no-store", "referrer-policy": "no-referrer" };

type Route = (exchange: Exchange, client: ClientConnection) => Promise<void>;

export class LoginRoutes {
  readonly #options: LoginRoutesOptions;
  readonly #login: ProviderLogin | undefined;
  readonly #log: LoginLog;
  readonly #routes: Readonly<Record<LoginPath, Route>>;

  constructor(options: LoginRoutesOptions) {
    const { provider, sessions, clock, telemetry } = options;
    this.#options = options;
    this.#log = new LoginLog({ log: telemetry.log, metrics: telemetry.metrics, clock });
    this.#login = provider === undefined ? undefined : new ProviderLogin({ provider, sessions, clock });
    this.#routes = {
      "/login": (...request) => this.#begin(...request),
      "/login/callback": (...request) => this.#finish(...request),
      "/login/options": (...request) => this.#describe(...request),
      "/login/token": (...request) => this.#withToken(...request),
      "/logout": (...request) => this.#logout(...request),
    };
  }

  /** Serves a request to a route of login; returns undefined for any other path. */
  serve(exchange: Exchange, client: ClientConnection): Promise<void> | undefined {
    const path = pathOf(exchange);
    return isLoginPath(path)
      ? this.#serve(exchange, client, loginRoutes[path], this.#routes[path])
      : undefined;
  }

  async #serve(exchange: Exchange, client: ClientConnection, method: string, route: Route): Promise<void> {
    const { telemetry } = this.#options;
    let code = "ok";
    try {
      if (exchange.method === method) {
        this.#requireOwnPage(exchange, client);
        await route(exchange, client);
      } else {
        code = "unimplemented";
        const message = `${pathOf(exchange)} takes ${method} only`;
        exchange.send(405, { ...noStore, ...json, allow: method }, line({ code, message, written: "no" }));
      }
    } catch (reason) {
      const fault = Fault.from(reason);
      if (fault.unexpected) throw reason;
      code = codeName(codeOf(fault));
      const way = methodOf(pathOf(exchange));
      if (way !== undefined) this.#log.failed(way, fault, client.peer);
      const { status, headers } = httpErrorOf(fault);
      const { "retry-after": later } = headers;
      const all = { ...noStore, ...(later === undefined ? {} : { "retry-after": later }) };
      if (method === "GET") exchange.send(status, { ...all, ...html }, pageOf(fault.message));
      else {
        const { message, written } = fault;
        const why = fault.facts.reason === undefined ? {} : { reason: fault.facts.reason };
        exchange.send(status, { ...all, ...json }, line({ code, message, written, ...why }));
      }
    }
    recordUnroutedRequest(telemetry.begin, exchange, client, code);
  }

  /** A page of another site must not log a user in or out. See also #begin(). */
  #requireOwnPage(exchange: Exchange, client: ClientConnection): void {
    const provenance = provenanceOf(exchange, client.secure);
    if (exchange.method === "GET" || canUseCookie(provenance, false, this.#options.origins)) return;
    throw new Fault("permission-denied", {
      message:
        "only a page of this server can log in and out; a program sends its token: Authorization: Bearer TOKEN",
    });
  }

  async #describe(exchange: Exchange, client: ClientConnection): Promise<void> {
    const provider = this.#options.provider?.name ?? null;
    const state = await this.#sessionState(exchange, client);
    exchange.send(200, { ...noStore, ...json }, line({ provider, ...state }));
  }

  /**
   * What is known of the cookie of a request. "ended": other requests with it are refused. "unknown": it cannot be checked now.
   * `left_ms`: how long an open session goes on. The clock of a browser can be wrong, so it is no time of day.
   */
  async #sessionState(
    exchange: Exchange,
    client: ClientConnection,
  ): Promise<{ readonly session: string; readonly left_ms?: number }> {
    const { sessions } = this.#options;
    try {
      const value = cookieOf(exchange.headers["cookie"], this.#cookie("tailrace-session", client));
      if (value === undefined) return { session: "none" };
      const { token } = await sessions.identify(value, client.peer);
      return { session: "open", left_ms: Math.max(0, Math.floor(token?.leftMs() ?? 0)) };
    } catch (reason) {
      return { session: Fault.from(reason).kind === "unauthenticated" ? "ended" : "unknown" };
    }
  }

  async #begin(exchange: Exchange, client: ClientConnection): Promise<void> {
    if (this.#login === undefined)
      throw new Fault("not-found", {
        message: "no provider of logins is configured (--oidc-client-id); log in with a token",
      });
    // The provider may know the user already. Then a link is enough to log in.
    if (provenanceOf(exchange, client.secure).fetchSite === "cross-site")
      throw new Fault("permission-denied", {
        message: "a page of another site cannot begin a login here; log in at the dashboard",
      });
    const returnTo = returnPathOf(new URLSearchParams(queryOf(exchange)).get("return"));
    const callbackUrl = this.#options.callbackUrl ?? this.#ownCallback(exchange, client);
    const { url, cookie } = await this.#login.begin(callbackUrl, returnTo);
    const wish = { value: cookie, maxAgeS: loginMs / 1000, sameSite: "Lax" } as const;
    exchange.setHeader("set-cookie", setCookie(this.#cookie("tailrace-login", client), wish));
    exchange.send(303, { ...noStore, location: url }, "");
  }

  /** The URL of the callback by the name of the server in the request. The provider sends the code there. */
  #ownCallback({ authority = "" }: Exchange, { secure }: ClientConnection): string {
    const url = `${secure ? "https" : "http"}://${authority}/login/callback`;
    if (!URL.canParse(url))
      throw new Fault("bad-request", {
        message: `"${quoted(authority)}" is not a name and a port of a server`,
        facts: { field: "host" },
      });
    if (isKnownHost(authority, this.#options.origins)) return url;
    throw new Fault("permission-denied", {
      message: `no login begins at the name "${quoted(authority)}"; use localhost or an address, or --allow-hosts or --oidc-callback-url`,
    });
  }

  async #finish(exchange: Exchange, client: ClientConnection): Promise<void> {
    if (this.#login === undefined)
      throw new Fault("not-found", { message: "no provider of logins is configured" });
    const login = this.#cookie("tailrace-login", client);
    const cookie = cookieOf(exchange.headers["cookie"], login);
    const { token, returnTo } = await this.#login.finish(cookie, queryOf(exchange), client.peer);
    const { setSession } = await this.#open("provider", token, client);
    exchange.setHeader("set-cookie", [setSession, removeCookie(login)]);
    exchange.send(303, { ...noStore, location: returnTo }, "");
  }

  async #withToken(exchange: Exchange, client: ClientConnection): Promise<void> {
    const body = await readBody(exchange, bodyBytesMax, this.#options.memory);
    let token: unknown;
    try {
      ({ token } = JSON.parse(body.toString()));
    } catch (cause) {
      throw new Fault("bad-request", { message: 'the body is not {"token": "…"}', cause });
    }
    if (typeof token !== "string" || token.trim() === "")
      throw new Fault("bad-request", {
        message: 'the body is not {"token": "…"}',
        facts: { field: "token" },
      });
    const { setSession, subject, expiresMs } = await this.#open("token", token.trim(), client);
    exchange.setHeader("set-cookie", setSession);
    exchange.send(200, { ...noStore, ...json }, line({ subject, expires_ms: expiresMs }));
  }

  /** Opens a session. `setSession` is the header that sets its cookie. */
  async #open(
    method: LoginMethod,
    token: string,
    client: ClientConnection,
  ): Promise<{ readonly setSession: string; readonly subject: string; readonly expiresMs: number }> {
    const { sessions, clock } = this.#options;
    const { value, expiresMs, identity } = await sessions.open(token, client.peer);
    const maxAgeS = (expiresMs - clock.wallMs()) / 1000;
    const wish = { value, maxAgeS, sameSite: "Strict" } as const;
    const setSession = setCookie(this.#cookie("tailrace-session", client), wish);
    const { subject } = identity;
    this.#log.succeeded(method, { subject, peer: client.peer, token: identity.token?.id });
    return { setSession, subject, expiresMs };
  }

  /** The cookie is removed also if the session has ended or cannot be ended. */
  async #logout(exchange: Exchange, client: ClientConnection): Promise<void> {
    const { sessions, telemetry } = this.#options;
    const cookie = this.#cookie("tailrace-session", client);
    exchange.setHeader("set-cookie", removeCookie(cookie));
    try {
      const value = cookieOf(exchange.headers["cookie"], cookie);
      if (value !== undefined) await sessions.end(value, client.peer);
    } catch (reason) {
      // A session that has ended needs no end.
      if (Fault.from(reason).kind !== "unauthenticated") throw reason;
    }
    telemetry.log.info({ peer: client.peer }, "logged out");
    exchange.send(204, noStore, "");
  }

  #cookie(name: Cookie["name"], { secure }: ClientConnection): Cookie {
    const { clusterTag } = this.#options.sessions;
    if (clusterTag !== undefined) return { name, clusterTag, secure };
    throw new Fault("unavailable", {
      message: "this node belongs to no cluster yet, so it has no sessions",
    });
  }
}

const isLoginPath = (path: string): path is LoginPath => Object.hasOwn(loginRoutes, path);

/** How a request to this route logs in; undefined for the other routes. */
function methodOf(path: string): LoginMethod | undefined {
  if (path === "/login/token") return "token";
  return path === "/login" || path === "/login/callback" ? "provider" : undefined;
}

const json = { "content-type": "application/json" };
const html = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};
const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** A page for a person whose login failed. The message can have text of the provider, and of the address. */
const pageOf = (message: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Tailrace</title><h1>The login failed</h1><p>${escaped(message.slice(0, 500))}</p><p><a href="/ui/">Back to the dashboard</a></p></html>\n`;

const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
