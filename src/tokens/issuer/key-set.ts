/** Reads a JWK Set (RFC 7517). Only public keys for signatures are taken; what else is in it is left out. Pure. */
import { Fault } from "../../fault.ts";

/** A public key for signatures. */
export interface IssuerKey {
  readonly id: string;
  /** The algorithms of its tokens. All are asymmetric. */
  readonly algorithms: readonly string[];
  /** Its public members. */
  readonly jwk: Readonly<Record<string, string>>;
  /** All of that as text: keys with the same text are the same key. */
  readonly text: string;
}

const keysMax = 64;
export const issuerKeyIdCharsMax = 256;

const rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** Type of a key, and its curve → the algorithms that it can have. */
const algorithmsOf: ReadonlyMap<string, readonly string[]> = new Map([
  ["RSA", rsa],
  ["EC P-256", ["ES256"]],
  ["EC P-384", ["ES384"]],
  ["EC P-521", ["ES512"]],
  ["OKP Ed25519", ["EdDSA", "Ed25519"]],
]);
const publicMembers = ["kty", "crv", "x", "y", "n", "e"] as const;

/** Returns the keys by their id. @throws Fault "bad-request" for a text that is no JWK Set, or has keys of which none can be used */
export function parseKeySet(text: string): ReadonlyMap<string, IssuerKey> {
  const keys = new Map<string, IssuerKey>();
  const values = listOf(text);
  for (const value of values) {
    const key = keyFrom(value);
    if (key === undefined || keys.has(key.id)) continue;
    if (keys.size === keysMax) throw wrong(`it has more than ${keysMax} keys`);
    keys.set(key.id, key);
  }
  // An issuer that removed all of its keys says so with an empty list.
  if (keys.size === 0 && values.length > 0)
    throw wrong("it has no public key with an id (kid) for signatures of RSA, EC or Ed25519");
  return keys;
}

function listOf(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong("it is not JSON", cause);
  }
  const { keys } = (value ?? {}) as { readonly keys?: unknown };
  if (!Array.isArray(keys)) throw wrong("it has no list of keys");
  return keys;
}

function keyFrom(value: unknown): IssuerKey | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kid, kty, crv, alg, use } = value as Readonly<Record<string, unknown>>;
  if (typeof kid !== "string" || kid === "" || kid.length > issuerKeyIdCharsMax) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  const type = typeof crv === "string" ? `${String(kty)} ${crv}` : String(kty);
  const possible = algorithmsOf.get(type) ?? [];
  const algorithms = alg === undefined ? possible : possible.filter((name) => name === alg);
  if (algorithms.length === 0) return undefined;
  const jwk: Record<string, string> = {};
  for (const name of publicMembers) {
    const member = (value as Readonly<Record<string, unknown>>)[name];
    if (typeof member === "string") jwk[name] = member;
  }
  return { id: kid, algorithms, jwk, text: JSON.stringify([kid, algorithms, jwk]) };
}

const wrong = (why: string, cause?: unknown): Fault =>
  new Fault("bad-request", { message: `this is not a JWK Set that can be used: ${why}`, cause });
