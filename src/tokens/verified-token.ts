/** A token whose signature and claims were checked. It ends by time, and by what changes about keys and revocations. */
import type { Scopes, TokenRights } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import type { TokenState } from "./token-state.ts";

/** The state of tokens on this node, and a number that grows with each change of it. */
export interface TokenSource {
  readonly state: TokenState;
  readonly version: number;
}

export interface VerifiedClaims {
  readonly subject: string;
  /** Empty if the token has none. */
  readonly id: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  readonly scopes: Scopes | undefined;
  /** The id of the key with which it was signed. */
  readonly keyId: string;
  /** The key, if it is one of another issuer. Default: it is one of the cluster. */
  readonly issuerKey?: IssuerKeyState;
}

/** Whether a key of another issuer still counts. */
export interface IssuerKeyState {
  /** Grows when that may have changed. */
  readonly version: number;
  readonly isCurrent: () => boolean;
  /** A hash of the key: another node may have another key with the same id. */
  readonly digest: string;
}

export class VerifiedToken implements TokenRights {
  readonly id: string;
  readonly expiresMs: number;
  readonly scopes: Scopes | undefined;
  readonly claims: VerifiedClaims;
  readonly #source: TokenSource;
  readonly #wallMs: () => number;
  #checkedVersion = 0;
  #revoked: Fault | undefined;
  #endMs = 0;

  constructor(claims: VerifiedClaims, source: TokenSource, wallMs: () => number) {
    this.id = claims.id;
    this.expiresMs = claims.expiresMs;
    this.scopes = claims.scopes;
    this.claims = claims;
    this.#source = source;
    this.#wallMs = wallMs;
  }

  /** See TokenRights. */
  readonly invalid = (): Fault | undefined => {
    this.#look();
    if (this.#revoked !== undefined) return this.#revoked;
    const nowMs = this.#wallMs();
    if (nowMs < this.#endMs) return undefined;
    return nowMs >= this.expiresMs
      ? refused("TOKEN_EXPIRED", `the token expired at ${timeText(this.expiresMs)}`)
      : refused("TOKEN_KEY_RETIRED", `the key of the token retired at ${timeText(this.#endMs)}`);
  };

  /** See TokenRights. */
  readonly leftMs = (): number => {
    this.#look();
    return this.#endMs - this.#wallMs();
  };

  /** Looks at keys and revocations again, if they have changed. */
  #look(): void {
    const { keyId, subject, id, issuedMs, issuerKey } = this.claims;
    const { state } = this.#source;
    // Both grow only.
    const version = this.#source.version + (issuerKey?.version ?? 0);
    if (version === this.#checkedVersion) return;
    this.#checkedVersion = version;
    const key = state.keys.get(keyId);
    const isKeyKnown = issuerKey === undefined ? key !== undefined : issuerKey.isCurrent();
    const retiresMs = issuerKey === undefined ? key?.retiresMs : undefined;
    this.#endMs = Math.min(this.expiresMs, retiresMs ?? Number.POSITIVE_INFINITY);
    this.#revoked = !isKeyKnown
      ? refused("TOKEN_KEY_UNKNOWN", `the key ${keyId} of the token was removed`)
      : state.revokedIds.has(id)
        ? refused("TOKEN_REVOKED", `the token ${id} is revoked`)
        : issuedMs <= (state.revokedSubjects.get(subject) ?? -1)
          ? refused("TOKEN_REVOKED", `the tokens of "${subject}" that were issued at that time are revoked`)
          : undefined;
  }
}

const timeText = (ms: number): string => new Date(ms).toISOString();

/** The refusal of a token. `reason` is a fixed word for programs. */
export const refused = (reason: string, message: string, cause?: unknown): Fault =>
  new Fault("unauthenticated", { message, facts: { reason }, cause });
