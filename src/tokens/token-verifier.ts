/**
 * Turns the token of a request into an identity.
 *
 *   token := JWT (RFC 7519), signed with EdDSA (RFC 8037) by a key of the cluster
 *     header   { "alg": "EdDSA", "typ": "tailrace+jwt", "kid": the id of the key }
 *     claims   { "iss": "tailrace", "aud": the id of the cluster, "sub", "jti", "iat", "exp", "nbf"?, "scope"? }
 *
 * A token of another issuer is recognized by its claim `iss`: see issuer/issuer-tokens.ts.
 *
 * The algorithm is that of the key and not that of the token. What was verified is remembered by the hash of the token until it
 * expires; keys and revocations are looked at with each use. A token of an unknown key, and the first one after the start, is
 * refused only by what the leader knows.
 */
import { hash } from "node:crypto";
import { type Identity, isSubjectName, namedIdentity, Scopes } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import { clientNetworkOf } from "../lib/names/client-network.ts";
import type { Clock } from "../lib/time/clock.ts";
import { FailedAttempts } from "./failed-attempts.ts";
import type { IssuerTokens } from "./issuer/issuer-tokens.ts";
import { clockSkewMs, tokenBytesMax, tokenLifeMsMax } from "./limits.ts";
import { Shares } from "./shares.ts";
import { isId, type TokenKey } from "./token-state.ts";
import { refused, type TokenSource, type VerifiedClaims, VerifiedToken } from "./verified-token.ts";

/** The claim `iss` of our tokens, and their header `typ`. */
export const tokenIssuer = "tailrace";
export const tokenType = "tailrace+jwt";

export interface TokenVerifierOptions {
  readonly source: TokenSource;
  /** Undefined while this node belongs to no cluster. */
  readonly clusterId: () => string | undefined;
  /** True once the state was compared with that of the leader since the start. */
  readonly isConfirmed: () => boolean;
  /** Resolves once this node has all changes that were acknowledged before. @throws Fault "unavailable" */
  readonly refresh: () => Promise<void>;
  /** Verifies the tokens of another issuer. Default: only those of the cluster are taken. */
  readonly issuer?: IssuerTokens | undefined;
  readonly clock: Clock;
}

const digestOf = (token: string): string => hash("sha256", token, "base64");

/** Verified tokens that are remembered, and tokens that are being verified. */
const keptMax = 8_192;
const underWayMax = 256;
const underWayOfNetworkMax = 32;

export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  readonly #failures = new FailedAttempts();
  /** Hash of a token → its identity. The one that was added last is last. */
  readonly #known = new Map<string, Identity>();
  readonly #underWay = new Map<string, Promise<Identity>>();
  /** What is under way, for each network of clients. */
  readonly #shares = new Shares(underWayOfNetworkMax);
  readonly #publicKeys = new WeakMap<TokenKey, Promise<CryptoKey>>();

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
  }

  /** Returns the identity of the holder of `token`, if it was verified before and is still valid. */
  known(token: string): Identity | undefined {
    if (token.length > tokenBytesMax) return undefined;
    const known = this.#known.get(digestOf(token));
    return known?.token?.invalid() === undefined ? known : undefined;
  }

  /**
   * Resolves to the identity of the holder of `token`. `peer` is the address and port of the client. Undefined: the token was valid
   * before, so a failed attempt is not counted, and it takes no share of an address.
   * @throws Fault "unauthenticated" for a token that is not valid; "overloaded" after many failed attempts of the address, and for
   *   too many at once; "unavailable" while this node cannot ask the leader
   */
  async identify(token: string, peer: string | undefined): Promise<Identity> {
    if (token.length > tokenBytesMax)
      throw this.#failed(
        peer,
        refused("TOKEN_INVALID", `a token has at most ${tokenBytesMax} bytes, this one has ${token.length}`),
      );
    const digest = digestOf(token);
    const known = this.#known.get(digest);
    if (known !== undefined) {
      const fault = known.token?.invalid();
      if (fault === undefined) return known;
      this.#known.delete(digest);
      throw this.#failed(peer, fault);
    }
    this.#requireAttempt(peer);
    const same = this.#underWay.get(digest);
    if (same !== undefined) return same;
    if (this.#underWay.size >= underWayMax)
      throw new Fault("overloaded", {
        message: `${underWayMax} tokens are being verified, try again`,
        facts: { limit: underWayMax },
      });
    const network = peer === undefined ? undefined : clientNetworkOf(peer);
    if (network !== undefined && this.#shares.isFull(network))
      throw new Fault("overloaded", {
        message: `${underWayOfNetworkMax} tokens from this address are being verified, try again`,
        facts: { limit: underWayOfNetworkMax },
      });
    if (network !== undefined) this.#shares.begin(network);
    const work = this.#verify(token, digest, peer).finally(() => {
      if (network !== undefined) this.#shares.end(network);
      this.#underWay.delete(digest);
    });
    this.#underWay.set(digest, work);
    return work;
  }

  async #verify(token: string, digest: string, peer: string | undefined): Promise<Identity> {
    const { clusterId, isConfirmed, refresh, source, clock } = this.#options;
    const audience = clusterId();
    if (audience === undefined)
      throw new Fault("unavailable", {
        message: "this node belongs to no cluster yet, so it knows no tokens",
      });
    if (!isConfirmed()) await refresh();
    try {
      const claims = await this.#claimsOf(token, audience);
      const rights = new VerifiedToken(claims, source, () => clock.wallMs());
      const fault = rights.invalid();
      if (fault !== undefined) throw fault;
      const issuer = claims.issuerKey === undefined ? tokenIssuer : (this.#options.issuer?.issuer ?? "");
      const identity: Identity = { ...namedIdentity(claims.subject), issuer, token: rights };
      if (this.#known.size >= keptMax)
        for (const oldest of this.#known.keys()) {
          this.#known.delete(oldest);
          break;
        }
      this.#known.set(digest, identity);
      return identity;
    } catch (reason) {
      const fault = Fault.from(reason);
      throw fault.kind === "unauthenticated" ? this.#failed(peer, fault) : fault;
    }
  }

  /** @throws Fault "unauthenticated" that says what is wrong */
  async #claimsOf(token: string, audience: string): Promise<VerifiedClaims> {
    const jose = await import("jose");
    const { issuer, clock } = this.#options;
    let header: Readonly<Record<string, unknown>>;
    let isForeign: boolean;
    try {
      header = jose.decodeProtectedHeader(token);
      isForeign = issuer !== undefined && jose.decodeJwt(token).iss === issuer.issuer;
    } catch (cause) {
      throw refused("TOKEN_INVALID", "the token is not a JWT in its compact form", cause);
    }
    if (issuer !== undefined && isForeign) return issuer.verify(token, header, clock.wallMs());
    const keyId = header["kid"];
    if (!isId(keyId))
      throw refused("TOKEN_INVALID", "the header of the token needs kid, the id of a key of this cluster");
    const key = await this.#keyOf(keyId);
    try {
      const { payload } = await jose.jwtVerify(token, await this.#publicKey(key), {
        algorithms: ["EdDSA"],
        issuer: tokenIssuer,
        audience,
        typ: tokenType,
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(this.#options.clock.wallMs()),
        requiredClaims: ["sub", "jti", "iat", "exp"],
      });
      return this.#checked(payload, keyId);
    } catch (cause) {
      if (cause instanceof Fault || !(cause instanceof jose.errors.JOSEError)) throw cause;
      throw refused(
        cause.code === "ERR_JWT_EXPIRED" ? "TOKEN_EXPIRED" : "TOKEN_INVALID",
        `the token is not valid for this cluster (${audience}): ${cause.message}`,
        cause,
      );
    }
  }

  #checked({ sub, jti, iat, exp, scope }: Readonly<Record<string, unknown>>, keyId: string): VerifiedClaims {
    const wrong = (why: string): Fault => refused("TOKEN_INVALID", `the token is not valid: ${why}`);
    if (!isSubjectName(sub)) throw wrong("its subject is not a name that a subject can have");
    if (!isId(jti)) throw wrong("its id (jti) is not one that can be revoked");
    const [issuedMs, expiresMs] = [Number(iat) * 1000, Number(exp) * 1000];
    const nowMs = this.#options.clock.wallMs();
    if (!(issuedMs <= nowMs + clockSkewMs)) throw wrong("it was issued in the future");
    if (!(expiresMs > issuedMs && expiresMs - issuedMs <= tokenLifeMsMax))
      throw wrong(`it may be valid for at most ${tokenLifeMsMax / 86_400_000} days`);
    let scopes: Scopes | undefined;
    if (scope !== undefined) {
      if (typeof scope !== "string") throw wrong("its scope is not a text");
      try {
        scopes = Scopes.parse(scope);
      } catch (reason) {
        throw wrong(Fault.from(reason).message);
      }
    }
    return { subject: sub, id: jti, issuedMs, expiresMs, scopes, keyId };
  }

  /** The key may have been added a moment ago, and this node may lag behind. */
  async #keyOf(keyId: string): Promise<TokenKey> {
    const { source, refresh } = this.#options;
    const known = source.state.keys.get(keyId);
    if (known !== undefined) return known;
    await refresh();
    const key = source.state.keys.get(keyId);
    if (key !== undefined) return key;
    throw refused(
      "TOKEN_KEY_UNKNOWN",
      `the token is signed by the key ${keyId}, which is not one of this cluster; tailrace token keys list shows them`,
    );
  }

  async #publicKey(key: TokenKey): Promise<CryptoKey> {
    const made = this.#publicKeys.get(key);
    if (made !== undefined) return made;
    const { importJWK } = await import("jose");
    const jwk = { kty: "OKP", crv: "Ed25519", x: key.x };
    const imported = importJWK(jwk, "EdDSA") as Promise<CryptoKey>;
    this.#publicKeys.set(key, imported);
    return imported;
  }

  #requireAttempt(peer: string | undefined): void {
    if (peer === undefined) return;
    const waitMs = this.#failures.waitMs(clientNetworkOf(peer), this.#options.clock.monotonicMs());
    if (waitMs === 0) return;
    throw new Fault("overloaded", {
      message: `too many tokens from this address were not valid; the next one is looked at in ${Math.ceil(waitMs / 1000)} s`,
    });
  }

  #failed(peer: string | undefined, fault: Fault): Fault {
    if (peer !== undefined) this.#failures.failed(clientNetworkOf(peer), this.#options.clock.monotonicMs());
    return fault;
  }
}
