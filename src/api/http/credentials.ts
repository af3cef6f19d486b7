/**
 * Who a request is of: the holder of its token (bearer.ts), the user of its session (login/), or else the client of its connection.
 * A token or a session always counts, also if it gives less than the connection.
 *
 * A browser attaches a cookie by itself. So the cookie of a session counts for pages of this server and of listed origins only: a
 * request of another one that reads has no session, and one that writes is refused.
 */
import type { IncomingHttpHeaders } from "node:http2";
import { Fault } from "../../fault.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";
import { Holders, statesToken, TokenClients, type TokenReader } from "./bearer.ts";
import type { RequestHeaders } from "./exchange/exchange.ts";
import { type Cookie, cookieOf } from "./login/cookies.ts";
import type { LoginOptions } from "./login/login-routes.ts";
import { canUseCookie, type OriginRules, provenanceOf } from "./origin-rules.ts";

export interface CredentialsOptions {
  /** Default: the header Authorization is ignored. */
  readonly tokens: TokenReader | undefined;
  /** Default: cookies are ignored. */
  readonly login: LoginOptions | undefined;
  readonly origins: OriginRules;
}

/** The part of a request that says who it is of. */
export interface Requester {
  readonly method: string;
  readonly headers: RequestHeaders;
  readonly authority: string | undefined;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #holders = new Holders();
  readonly #tokens: TokenClients | undefined;

  constructor(options: CredentialsOptions) {
    const { tokens } = options;
    this.#options = options;
    this.#tokens = tokens === undefined ? undefined : new TokenClients(tokens, this.#holders);
  }

  /** Returns the client of a POST, if that is known at once; undefined if of() must decide. */
  known(headers: IncomingHttpHeaders, client: ClientConnection): ClientConnection | undefined {
    const { authorization, cookie } = headers;
    if (authorization !== undefined && this.#tokens !== undefined && statesToken(authorization))
      return this.#tokens.known(authorization, client);
    const { login } = this.#options;
    if (cookie === undefined || login === undefined) return client;
    const authority = headers[":authority"] ?? headers.host;
    const cookieName = sessionCookie(client, login);
    if (cookieName === undefined) return client;
    const value = this.#valueOf({ method: "POST", headers, authority }, client, cookieName);
    if (value === undefined) return client;
    const identity = value instanceof Fault ? undefined : login.sessions.known(value);
    return identity === undefined ? undefined : this.#holders.of(client, identity);
  }

  /** See TokenClients.prepare(). */
  prepare(authorization: string, client: ClientConnection): Promise<void> | undefined {
    return this.#tokens?.prepare(authorization, client);
  }

  /**
   * Resolves to the client of a request. Undefined: it is that of the connection. A cookie that is not valid stays in the browser: a
   * response that removes it can be late, and would then remove the cookie of a login that was completed meanwhile.
   * @throws Fault "unauthenticated", "overloaded", "unavailable"; "permission-denied" for a page of another site
   */
  of(request: Requester, client: ClientConnection): Promise<ClientConnection> | undefined {
    const { authorization, cookie } = request.headers;
    if (authorization !== undefined && this.#tokens !== undefined && statesToken(authorization))
      return this.#tokens.of(authorization, client);
    const { login } = this.#options;
    if (cookie === undefined || login === undefined) return undefined;
    const cookieName = sessionCookie(client, login);
    if (cookieName === undefined) return undefined;
    const value = this.#valueOf(request, client, cookieName);
    return value === undefined ? undefined : this.#ofSession(value, client, login);
  }

  async #ofSession(
    value: string | Fault,
    client: ClientConnection,
    login: LoginOptions,
  ): Promise<ClientConnection> {
    if (value instanceof Fault) throw value;
    return this.#holders.of(client, await login.sessions.identify(value, client.peer));
  }

  /** The value of the session's cookie, if it counts; or why the request is refused. */
  #valueOf(request: Requester, client: ClientConnection, cookie: Cookie): string | Fault | undefined {
    let value: string | undefined;
    try {
      value = cookieOf(request.headers["cookie"], cookie);
    } catch (reason) {
      return Fault.from(reason);
    }
    if (value === undefined) return undefined;
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (canUseCookie(provenanceOf(request, client.secure), isRead, this.#options.origins)) return value;
    if (isRead) return undefined;
    return new Fault("permission-denied", {
      message:
        "a request that changes something with the cookie of a session must come from a page of this server; a program sends a token instead: Authorization: Bearer TOKEN",
    });
  }
}

/** Undefined while the node belongs to no cluster. Then there are no sessions. */
function sessionCookie({ secure }: ClientConnection, { sessions }: LoginOptions): Cookie | undefined {
  const { clusterTag } = sessions;
  return clusterTag === undefined ? undefined : { name: "tailrace-session", clusterTag, secure };
}
