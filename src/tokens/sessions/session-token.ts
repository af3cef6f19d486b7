/** The token of a session. It ends with the token, with the session, and at logout. */
import { hash } from "node:crypto";
import type { TokenRights } from "../../access/mod.ts";
import type { Fault } from "../../fault.ts";
import { refused, type TokenSource } from "../verified-token.ts";

/** The id under which the end of a session is kept among the revoked ids. */
export const revokedSessionId = (id: string): string => `${sessionIdPrefix}${id}`;
export const sessionIdPrefix = "session.";

/** The id of a session begins with so many characters that its subject determines. */
const subjectChars = 8;

/** Returns the id of a new session, 16 bytes in base64url: 6 of a hash of the subject, and 10 random ones. */
export const newSessionId = (subject: string, random: (bytes: number) => Uint8Array): string =>
  hash("sha256", subject, "base64url").slice(0, subjectChars) + Buffer.from(random(10)).toString("base64url");

/** What the revoked ids of the sessions of one subject begin with. `id` is that of a session. */
export const revokedSubjectPrefix = (id: string): string => revokedSessionId(id.slice(0, subjectChars));

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
  readonly sessionId: string;
  readonly #options: SessionTokenOptions;
  readonly #revokedId: string;

  constructor(options: SessionTokenOptions) {
    const { token, expiresMs } = options;
    this.id = token.id;
    this.expiresMs = Math.min(expiresMs, token.expiresMs);
    this.scopes = token.scopes;
    this.sessionId = options.id;
    this.#options = options;
    this.#revokedId = revokedSessionId(options.id);
  }

  /** The token with which the user logged in. */
  get token(): TokenRights {
    return this.#options.token;
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
