/**
 * Verifies the tokens of another issuer (OpenID Connect, RFC 9068).
 *
 *   token := JWT, signed by a key of the issuer's JWK Set
 *     header   { "alg": one that the key can have, "kid": the id of the key, "typ"?: "JWT" | "at+jwt" }
 *     claims   { "iss": the issuer, "aud": an audience of this cluster, the claim of the subject, "iat", "exp", "nbf"?, "jti"? }
 *
 * The subject is the value of its claim after `oidc:`, so that a user of the issuer cannot be named as a certificate, a node, or a token
 * of the cluster. Tokens for other purposes of the same issuer are refused: those bound to a key (`cnf`), and those about events
 * such as a logout (`events`).
 */
import { hash } from "node:crypto";
import { isSubjectName, Scopes } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { clockSkewMs, tokenLifeMsMax } from "../limits.ts";
import { type IssuerKeyState, refused, type VerifiedClaims } from "../verified-token.ts";
import type { IssuerKeys } from "./issuer-keys.ts";
import { issuerTokenId } from "./issuer-token-id.ts";
import { type IssuerKey, issuerKeyIdCharsMax } from "./key-set.ts";

/** Before the name of each subject of an issuer. */
const issuerSubjectPrefix = "oidc:";

export interface IssuerTokensOptions {
  /** The claim `iss`, exactly. */
  readonly issuer: string;
  /** One of them must be in the claim `aud`. */
  readonly audiences: readonly string[];
  readonly subjectClaim: string;
  /** The claim with scopes of this cluster. Default: tokens are not narrowed. */
  readonly scopeClaim?: string | undefined;
  readonly keys: IssuerKeys;
}

const types: ReadonlySet<unknown> = new Set([undefined, "jwt", "at+jwt", "application/at+jwt"]);

export class IssuerTokens {
  readonly #options: IssuerTokensOptions;
  readonly #imported = new WeakMap<IssuerKey, Map<string, Promise<CryptoKey>>>();

  constructor(options: IssuerTokensOptions) {
    this.#options = options;
  }

  get issuer(): string {
    return this.#options.issuer;
  }

  /**
   * Resolves to what the token says. `nowMs` is the wall clock.
   * @throws Fault "unauthenticated" that says what is wrong; "unavailable" while the keys cannot be loaded
   */
  async verify(
    token: string,
    header: Readonly<Record<string, unknown>>,
    nowMs: number,
  ): Promise<VerifiedClaims> {
    const jose = await import("jose");
    const { issuer, audiences, keys } = this.#options;
    const { kid, alg, typ } = header;
    if (!types.has(typeof typ === "string" ? typ.toLowerCase() : typ))
      throw wrong("its type (typ) is not one of a token for access");
    if (typeof kid !== "string" || kid === "" || kid.length > issuerKeyIdCharsMax)
      throw wrong("its header needs kid, the id of a key of the issuer");
    const key = await keys.find(kid);
    if (key === undefined)
      throw refused("TOKEN_KEY_UNKNOWN", `the token is signed by a key that ${issuer} does not have`);
    if (typeof alg !== "string" || !key.algorithms.includes(alg))
      throw wrong(`its key takes the algorithms ${key.algorithms.join(", ")}`);
    try {
      const { payload } = await jose.jwtVerify(token, await this.#publicKey(key, alg), {
        algorithms: [...key.algorithms],
        issuer,
        audience: [...audiences],
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(nowMs),
        requiredClaims: ["iat", "exp"],
      });
      return this.#checked(token, payload, key, nowMs);
    } catch (cause) {
      if (cause instanceof Fault) throw cause;
      const isExpired = cause instanceof jose.errors.JWTExpired;
      // Also a key of the issuer that cannot be imported.
      const why = cause instanceof Error ? cause.message : String(cause);
      throw refused(
        isExpired ? "TOKEN_EXPIRED" : "TOKEN_INVALID",
        `the token of ${issuer} is not valid here: ${why}`,
        cause,
      );
    }
  }

  #checked(
    token: string,
    claims: Readonly<Record<string, unknown>>,
    key: IssuerKey,
    nowMs: number,
  ): VerifiedClaims {
    const { subjectClaim, keys } = this.#options;
    const { jti, iat, exp } = claims;
    const name = Object.hasOwn(claims, subjectClaim) ? claims[subjectClaim] : undefined;
    if (typeof name !== "string" || name === "") throw wrong(`its claim ${subjectClaim} is not a text`);
    const subject = `${issuerSubjectPrefix}${name}`;
    if (!isSubjectName(subject))
      throw wrong(`its claim ${subjectClaim} is not a name that a subject can have`);
    // Users can often set an address that is not theirs.
    if (subjectClaim === "email" && claims["email_verified"] !== true)
      throw wrong("the issuer does not state that the address is verified (email_verified)");
    if (claims["cnf"] !== undefined)
      throw wrong("it is bound to a key of its holder (cnf), which is not supported");
    if (claims["events"] !== undefined) throw wrong("it is about an event, and not for access");
    const [issuedMs, expiresMs] = [Number(iat) * 1000, Number(exp) * 1000];
    if (!(issuedMs <= nowMs + clockSkewMs)) throw wrong("it was issued in the future");
    if (!(expiresMs > issuedMs && expiresMs - issuedMs <= tokenLifeMsMax))
      throw wrong(`it may be valid for at most ${tokenLifeMsMax / 86_400_000} days`);
    return {
      subject,
      id: issuerTokenId(token, jti),
      issuedMs,
      expiresMs,
      scopes: this.#scopesOf(claims),
      keyId: key.id,
      issuerKey: stateOf(key, keys),
    };
  }

  /**
   * Resolves to the state of a key with which another node has verified a token.
   * @throws Fault "unauthenticated" if this node does not have the key; "unavailable" while the keys cannot be loaded
   */
  async keyState(id: string, digest: string): Promise<IssuerKeyState> {
    const { keys, issuer } = this.#options;
    const key = await keys.find(id);
    if (key !== undefined && digestOf(key) === digest) return stateOf(key, keys);
    throw refused("TOKEN_KEY_UNKNOWN", `the token is signed by a key that ${issuer} does not have`);
  }

  #scopesOf(claims: Readonly<Record<string, unknown>>): Scopes | undefined {
    const { scopeClaim } = this.#options;
    if (scopeClaim === undefined || !Object.hasOwn(claims, scopeClaim)) return undefined;
    const scope = claims[scopeClaim];
    const text =
      Array.isArray(scope) && scope.every((part) => typeof part === "string") ? scope.join(" ") : scope;
    if (typeof text !== "string") throw wrong(`its claim ${scopeClaim} is not a text or a list of texts`);
    try {
      return Scopes.parse(text);
    } catch (reason) {
      throw wrong(Fault.from(reason).message);
    }
  }

  #publicKey(key: IssuerKey, algorithm: string): Promise<CryptoKey> {
    const made = this.#imported.get(key) ?? new Map<string, Promise<CryptoKey>>();
    this.#imported.set(key, made);
    const known = made.get(algorithm);
    if (known !== undefined) return known;
    const imported = import("jose").then(
      ({ importJWK }) =>
        importJWK({ ...key.jwk, kty: key.jwk["kty"] ?? "" }, algorithm) as Promise<CryptoKey>,
    );
    made.set(algorithm, imported);
    return imported;
  }
}

const digestOf = ({ text }: IssuerKey): string => hash("sha256", text, "base64url");

const stateOf = (key: IssuerKey, keys: IssuerKeys): IssuerKeyState => ({
  get version() {
    return keys.version;
  },
  isCurrent: () => keys.has(key),
  digest: digestOf(key),
});

const wrong = (why: string): Fault => refused("TOKEN_INVALID", `the token is not valid: ${why}`);
