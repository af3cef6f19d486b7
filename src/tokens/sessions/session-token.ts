/** The token of a session. It ends with the token, with the session, and at logout. */
import type { TokenRights } from "../../access/mod.ts";
import type { Fault } from "../../fault.ts";
import { refused, type TokenSource } from "../verified-token.ts";

/** The id under which the end of a session is kept among the revoked ids. */
export const revokedSessionId = (id: string): string => `${sessionIdPrefix}${id}`;
export const sessionIdPrefix = "session.";

export interface SessionTokenOptions {
  readonly token: TokenRights;
  readonly id: string;
  readonly expiresMs: number;
  readonly source: TokenSource;
  readonly wallMs: () => number;
}

export class SessionToken implements TokenRights {
  readonly form = "session";
  readonly id: string;
  readonly expiresMs: number;
  readonly scopes: TokenRights["scopes"];
  readonly #options: SessionTokenOptions;
  readonly #revokedId: string;

  constructor(options: SessionTokenOptions) {
    const { token, expiresMs } = options;
    this.id = token.id;
    this.expiresMs = Math.min(expiresMs, token.expiresMs);
    this.scopes = token.scopes;
    this.#options = options;
    this.#revokedId = revokedSessionId(options.id);
  }

  /** See TokenRights. */
  readonly invalid = (): Fault | undefined => {
    const { token, source, expiresMs, wallMs } = this.#options;
    const fault = token.invalid();
    if (fault !== undefined) return fault;
    if (source.state.revokedIds.has(this.#revokedId))
      return refused("SESSION_ENDED", "the session was logged out");
    return wallMs() < expiresMs
      ? undefined
      : refused("SESSION_EXPIRED", "the session has expired, log in again");
  };

  /** See TokenRights. */
  readonly leftMs = (): number => {
    const { token, expiresMs, wallMs } = this.#options;
    return Math.min(token.leftMs(), expiresMs - wallMs());
  };
}
