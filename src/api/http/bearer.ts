/**
 * The token of a request: `Authorization: Bearer TOKEN` (RFC 6750 §2.1). A request that states one is a request of the token's
 * subject, whatever the connection is; other schemes are ignored, and so is an empty header.
 */
import type { Identity } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import type { ClientConnection } from "../calls/call-tracker.ts";

/** Knows what tokens are worth. */
export interface TokenReader {
  /** The identity of the holder, if it is known at once that the token is valid. */
  known(token: string): Identity | undefined;
  /**
   * Resolves to the identity of the holder. `peer` is the address and port of the client.
   * @throws Fault "unauthenticated", "overloaded", "unavailable"
   */
  identify(token: string, peer: string): Promise<Identity>;
}

/** Returns whether the header can state a token. If it cannot, a cookie counts. */
export const statesToken = (authorization: string | readonly string[] | undefined): boolean =>
  typeof authorization === "object" || (authorization !== undefined && scheme.test(authorization));

const scheme = /^bearer(?:[ ,]|$)/i;

/**
 * Returns the token of the header; undefined if it has none.
 * @throws Fault "unauthenticated" for a header that names the scheme and has no token
 */
function bearerTokenOf(authorization: string | readonly string[] | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  if (typeof authorization !== "string") throw malformed("there is more than one header Authorization");
  if (!scheme.test(authorization)) return undefined;
  const token = authorization.slice("bearer ".length).trim();
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token))
    throw malformed("the header Authorization has no token after Bearer");
  return token;
}

const malformed = (message: string): Fault =>
  new Fault("unauthenticated", { message, facts: { reason: "TOKEN_INVALID" } });

/** Connections as the holders of tokens use them, one for each connection and token in use. */
export class Holders {
  readonly #last = new WeakMap<ClientConnection, Holder>();

  of(connection: ClientConnection, identity: Identity): ClientConnection {
    const last = this.#last.get(connection);
    if (last?.identity === identity) return last;
    const holder = new Holder(connection, identity);
    this.#last.set(connection, holder);
    return holder;
  }
}

/** The clients of requests with a token. */
export class TokenClients {
  readonly #reader: TokenReader;
  readonly #holders: Holders;
  /** What prepare() found about the token of the next request of a connection. */
  readonly #refused = new WeakMap<ClientConnection, { readonly token: string; readonly reason: unknown }>();

  constructor(reader: TokenReader, holders: Holders) {
    this.#reader = reader;
    this.#holders = holders;
  }

  /** Returns the client of a request, if that is known at once: the holder of its token, or the connection's. */
  known(authorization: string, connection: ClientConnection): ClientConnection | undefined {
    let token: string | undefined;
    try {
      token = bearerTokenOf(authorization);
    } catch {
      return undefined;
    }
    if (token === undefined) return connection;
    const identity = this.#reader.known(token);
    return identity === undefined ? undefined : this.#holders.of(connection, identity);
  }

  /**
   * Resolves once known() knows the token, or of() its refusal: a token that is not valid is one failed attempt. Undefined: that is so
   * already. It does not reject.
   */
  prepare(authorization: string, connection: ClientConnection): Promise<void> | undefined {
    let token: string | undefined;
    try {
      token = bearerTokenOf(authorization);
    } catch {
      return undefined;
    }
    if (token === undefined || this.#reader.known(token) !== undefined) return undefined;
    if (this.#refused.get(connection)?.token === token) return undefined;
    const stated = token;
    return this.#reader.identify(token, connection.peer).then(
      () => undefined,
      (reason: unknown) => {
        this.#refused.set(connection, { token: stated, reason });
      },
    );
  }

  /**
   * Resolves to the client of a request: the holder of its token, or the connection's.
   * @throws as bearerTokenOf() and TokenReader.identify()
   */
  async of(
    authorization: string | readonly string[],
    connection: ClientConnection,
  ): Promise<ClientConnection> {
    const token = bearerTokenOf(authorization);
    if (token === undefined) return connection;
    const refused = this.#refused.get(connection);
    this.#refused.delete(connection);
    if (refused?.token === token) throw refused.reason;
    return this.#holders.of(connection, await this.#reader.identify(token, connection.peer));
  }
}

/** The client of a request with a ticket. */
export const clientWith = (connection: ClientConnection, identity: Identity): ClientConnection =>
  new Holder(connection, identity);

/** A connection as the holder of a token uses it. What is counted for the connection is counted there. */
class Holder implements ClientConnection {
  readonly identity: Identity;
  readonly #connection: ClientConnection;

  constructor(connection: ClientConnection, identity: Identity) {
    this.#connection = connection;
    this.identity = identity;
  }

  get peer(): string {
    return this.#connection.peer;
  }

  get secure(): boolean {
    return this.#connection.secure;
  }

  get callBytes(): number {
    return this.#connection.callBytes ?? 0;
  }

  set callBytes(bytes: number) {
    this.#connection.callBytes = bytes;
  }
}
