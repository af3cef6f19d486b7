/** Another issuer for tests: keys, and tokens that they sign. Its key set is loaded from memory. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import { noLogger } from "../../../src/lib/telemetry.ts";
import { type Clock, systemClock } from "../../../src/lib/time/clock.ts";
import { IssuerKeys, IssuerTokens } from "../../../src/tokens/mod.ts";

export const issuerUrl = "https://login.example.org/realm";
export const issuerAudience = "tailrace";

interface IssuerSigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicJwk: Readonly<Record<string, unknown>>;
}

export function issuerKey(kid: string): IssuerSigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { kid, alg: "ES256", privateKey, publicJwk: { ...publicKey.export({ format: "jwk" }), kid } };
}

export interface IssuerWish {
  readonly key?: IssuerSigningKey;
  /** Undefined removes one. */
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

export class TestIssuer {
  /** What its key set lists. */
  published: IssuerSigningKey[] = [issuerKey("k1")];
  loads = 0;
  /** The error of the next loads. */
  failure: Error | undefined;
  onChange: () => void = () => undefined;
  readonly keys: IssuerKeys;
  readonly tokens: IssuerTokens;

  constructor({
    clock = systemClock,
    scopeClaim = "rights",
    subjectClaim = "sub",
  }: {
    readonly clock?: Clock;
    readonly scopeClaim?: string;
    readonly subjectClaim?: string;
  } = {}) {
    this.keys = new IssuerKeys({
      load: async () => {
        this.loads++;
        if (this.failure !== undefined) throw this.failure;
        return JSON.stringify({ keys: this.published.map(({ publicJwk }) => publicJwk) });
      },
      onChange: () => this.onChange(),
      clock,
      logger: noLogger,
    });
    this.tokens = new IssuerTokens({
      issuer: issuerUrl,
      audiences: [issuerAudience, "another-of-ours"],
      subjectClaim,
      scopeClaim,
      keys: this.keys,
    });
  }

  /** A token of "alice" that is valid for ten minutes. */
  sign({
    key = this.published[0] as IssuerSigningKey,
    header = {},
    claims = {},
  }: IssuerWish = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: issuerUrl, aud: issuerAudience, sub: "alice", iat: now, exp: now + 600, ...claims };
    const present = (value: object): Record<string, unknown> =>
      Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
    return new SignJWT(present(all))
      .setProtectedHeader({ alg: key.alg, ...present({ kid: key.kid, ...header }) })
      .sign(key.privateKey);
  }
}
