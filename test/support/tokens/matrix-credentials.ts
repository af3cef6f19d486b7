/**
 * The credentials of the matrix of permissions: those that say who the caller is, and those that are worth nothing. A new kind of
 * credential belongs in one of the two.
 */
import { UnsecuredJWT } from "jose";
import { actions } from "../../../src/access/mod.ts";
import { makeSigningKey } from "../../../src/tokens/issue-token.ts";
import type { Sessions } from "../../../src/tokens/mod.ts";
import { issuerKey, TestIssuer } from "./test-issuer.ts";
import { testSessions } from "./test-sessions.ts";
import { TestTokens, testAudience } from "./test-tokens.ts";

/** A subject that has only this permission, one that has all, one without any, and one that has all of other logs. */
export const subjects = [...actions, "everything", "nothing", "elsewhere"] as const;
export type Subject = (typeof subjects)[number];

/** How a request shows who sends it. */
export interface Caller {
  /** The subject of the certificate of the connection. */
  readonly certificate?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly ticket?: string;
}

export interface ValidCredential {
  readonly of: (subject: Subject) => Promise<Caller>;
  /** The protocols of the RPCs that are tried with it. */
  readonly protocols: readonly string[];
}

export const allProtocols = ["grpc", "grpc-web+proto", "proto"];

const peer = "192.0.2.7:1";
const bearer = (token: string): Caller => ({ headers: { authorization: `Bearer ${token}` } });

/** Scopes with which a token of "everything" may do what the subject may. */
function scopeOf(subject: Subject): string {
  const all = actions.filter((action) => action !== "peer").join(",");
  const scopes: Readonly<Record<string, string>> = {
    everything: `logs=*:${all}`,
    elsewhere: `logs=elsewhere*:${all}`,
    nothing: "",
    peer: "",
  };
  return scopes[subject] ?? `logs=*:${subject}`;
}

export class MatrixCredentials {
  readonly tokens: TestTokens;
  readonly sessions: Sessions;
  readonly issuer: TestIssuer;
  /** The origin of the pages of the server. */
  origin = "";

  private constructor(tokens: TestTokens, issuer: TestIssuer) {
    this.tokens = tokens;
    this.issuer = issuer;
    this.sessions = testSessions(tokens);
  }

  static async make(): Promise<MatrixCredentials> {
    const issuer = new TestIssuer();
    return new MatrixCredentials(await TestTokens.make({ issuer: issuer.tokens }), issuer);
  }

  /** The lines of the policy. */
  get policy(): string {
    // What the policy gives to `anonymous` is not given without a credential.
    const rules = ["anonymous, *, *"];
    for (const prefix of ["", "oidc:"]) {
      rules.push(...actions.map((action) => `${prefix}${action}, *, ${action}`));
      rules.push(`${prefix}everything, *, *`, `${prefix}elsewhere, elsewhere*, *`);
    }
    return rules.map((rule) => `p, ${rule}\n`).join("");
  }

  /** What a browser sends from a page of this server. */
  cookie(value: string, from: Readonly<Record<string, string>> = { origin: this.origin }): Caller {
    return { headers: { cookie: `${this.cookieName}=${value}`, ...from } };
  }

  get cookieName(): string {
    return `__Host-tailrace-session-${this.sessions.clusterTag}`;
  }

  /** A cookie of a new session with this token. */
  async session(token: Promise<string>): Promise<string> {
    return (await this.sessions.open(await token, peer)).value;
  }

  #issued(subject: Subject): Promise<string> {
    return this.issuer.sign({ claims: { sub: subject } });
  }

  readonly valid: Readonly<Record<string, ValidCredential>> = {
    "a certificate": { of: async (subject) => ({ certificate: subject }), protocols: ["grpc"] },
    "a token": { of: async (subject) => bearer(await this.tokens.issue(subject)), protocols: allProtocols },
    "a token with one scope": {
      of: async (subject) => bearer(await this.tokens.issue("everything", { scope: scopeOf(subject) })),
      protocols: ["proto"],
    },
    "a token of an OpenID provider": {
      of: async (subject) => bearer(await this.#issued(subject)),
      protocols: ["grpc"],
    },
    "a token of an OpenID provider with one scope": {
      of: async (subject) =>
        bearer(await this.issuer.sign({ claims: { sub: "everything", rights: scopeOf(subject) } })),
      protocols: ["proto"],
    },
    "a session": {
      of: async (subject) => this.cookie(await this.session(this.tokens.issue(subject))),
      protocols: ["grpc"],
    },
    "a session of an OpenID provider, on a connection with a certificate": {
      of: async (subject) => ({
        ...this.cookie(await this.session(this.#issued(subject))),
        certificate: "everything",
      }),
      protocols: ["grpc-web+proto"],
    },
    "a session of a token with one scope": {
      of: async (subject) =>
        this.cookie(await this.session(this.tokens.issue("everything", { scope: scopeOf(subject) }))),
      protocols: ["proto"],
    },
  };

  /** Credentials with which nothing is opened. Those of `sparse` count as failed attempts of an address, which may fail only so often. */
  async worthless(): Promise<{
    readonly all: Record<string, Caller>;
    readonly sparse: Record<string, Caller>;
  }> {
    const { tokens, sessions, issuer } = this;
    const { key } = tokens;
    tokens.nowMs = () => Date.now() - 7_200_000;
    const expired = await tokens.issue("everything", { lifeMs: 3_600_000 });
    const expiredSession = await this.session(Promise.resolve(expired));
    tokens.nowMs = () => Date.now();
    const revoked = await tokens.issue("everything", { id: "revoked" });
    const revokedSession = await this.session(Promise.resolve(revoked));
    tokens.change({ kind: "revoke", id: "revoked", untilMs: Number.MAX_SAFE_INTEGER });
    const ended = await this.session(tokens.issue("everything"));
    await sessions.end(ended, peer);
    const live = await this.session(tokens.issue("everything"));
    const none = new UnsecuredJWT({ sub: "everything", jti: "n", aud: testAudience, iss: "tailrace" });
    const elsewhere = testSessions(tokens, { clusterId: () => "another-cluster" });
    const foreign = (await elsewhere.open(await tokens.issue("everything"), peer)).value;
    const forged = await sessions.seal("session", Buffer.alloc(64));
    const login = await sessions.seal("login", Buffer.alloc(64));
    return {
      all: {
        "no credential": {},
        "a session that was logged out": this.cookie(ended),
        "a session that was logged out, and a certificate": {
          ...this.cookie(ended),
          certificate: "everything",
        },
        "a session that has expired": this.cookie(expiredSession),
        "a session of a revoked token": this.cookie(revokedSession),
      },
      sparse: {
        "an expired token": bearer(expired),
        "a revoked token": bearer(revoked),
        "a token of another cluster": bearer(
          await tokens.issue("everything", { key: { ...key, audience: "another" } }),
        ),
        "a token of another key": bearer(
          await tokens.issue("everything", { key: { ...(await makeSigningKey()), audience: testAudience } }),
        ),
        "a token without a signature": bearer(none.setIssuedAt().setExpirationTime("1m").encode()),
        "a revoked token and a certificate": { ...bearer(revoked), certificate: "everything" },
        "a revoked token and a session": {
          headers: { ...this.cookie(live).headers, ...bearer(revoked).headers },
        },
        "an expired token of an OpenID provider": bearer(
          await issuer.sign({ claims: { sub: "everything", iat: 1_000, exp: 2_000 } }),
        ),
        "a token of another key of an OpenID provider": bearer(
          await issuer.sign({ claims: { sub: "everything" }, key: issuerKey("k1") }),
        ),
        "a session of another cluster": this.cookie(foreign),
        "a session without a token": this.cookie(forged),
        "the cookie of a login": this.cookie(login),
        "a cookie that was changed": this.cookie(`${live}A`),
        "two cookies": {
          headers: { cookie: `${this.cookieName}=${live}; ${this.cookieName}=${live}`, origin: this.origin },
        },
      },
    };
  }
}
