/** Makes keys and tokens. Only the command line does: the private key is the operator's. */
import { isSubjectName, Scopes } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import { tokenLifeMsMax } from "./limits.ts";
import { keyIdOf } from "./token-requests.ts";
import { tokenIssuer, tokenType } from "./token-verifier.ts";

/** A key with which tokens are signed: a private JWK (RFC 8037), and the cluster that it is for. */
export interface SigningKey {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  /** The public key, in base64url. */
  readonly x: string;
  /** The private key, in base64url. */
  readonly d: string;
  readonly kid: string;
  /** The claim `aud` of its tokens: the id of the cluster. Empty until the cluster has the key. */
  readonly audience: string;
}

export interface TokenWish {
  readonly subject: string;
  /** See Scopes. Default: all that the policy allows the subject. */
  readonly scope?: string | undefined;
  readonly lifeMs: number;
  /** The id of the token (jti). */
  readonly id: string;
  readonly nowMs: number;
}

/** Makes a key that belongs to no cluster yet. */
export async function makeSigningKey(): Promise<SigningKey> {
  const { exportJWK, generateKeyPair } = await import("jose");
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const { x = "", d = "" } = await exportJWK(privateKey);
  return { kty: "OKP", crv: "Ed25519", x, d, kid: keyIdOf(x), audience: "" };
}

/** @throws Fault "bad-request" for a subject, a scope or a life that a token cannot have */
export async function issueToken(key: SigningKey, wish: TokenWish): Promise<string> {
  const { subject, scope, lifeMs, id, nowMs } = wish;
  if (!isSubjectName(subject))
    throw new Fault("bad-request", {
      message: `"${subject}" cannot be the subject of a token`,
      facts: { field: "subject" },
    });
  if (scope !== undefined) Scopes.parse(scope);
  if (!(lifeMs >= 1_000 && lifeMs <= tokenLifeMsMax))
    throw new Fault("bad-request", {
      message: `a token is valid for 1 second to ${tokenLifeMsMax / 86_400_000} days`,
      facts: { field: "expires" },
    });
  const { importJWK, SignJWT } = await import("jose");
  const { kty, crv, x, d, kid, audience } = key;
  const issued = Math.floor(nowMs / 1000);
  return new SignJWT(scope === undefined ? {} : { scope })
    .setProtectedHeader({ alg: "EdDSA", typ: tokenType, kid })
    .setIssuer(tokenIssuer)
    .setAudience(audience)
    .setSubject(subject)
    .setJti(id)
    .setIssuedAt(issued)
    .setExpirationTime(issued + Math.floor(lifeMs / 1000))
    .sign(await importJWK({ kty, crv, x, d }, "EdDSA"));
}
