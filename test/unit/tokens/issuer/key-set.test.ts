import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { parseKeySet } from "../../../../src/tokens/issuer/key-set.ts";

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKey = { ...ec.publicKey.export({ format: "jwk" }), kid: "a" };

test("only public keys with an id for signatures are taken, with the algorithms of their type", () => {
  const rsa = { kty: "RSA", n: "AQAB", e: "AQAB" };
  const keys = parseKeySet(
    JSON.stringify({
      keys: [
        publicKey,
        { ...rsa, kid: "any" },
        { ...rsa, kid: "pinned", alg: "RS256", use: "sig" },
        { ...rsa, kid: "encryption", use: "enc" },
        { ...rsa, kid: "mixed", alg: "ES256" },
        { ...rsa },
        { kty: "oct", k: "c2VjcmV0", kid: "secret", alg: "HS256" },
        { kty: "oct", k: "c2VjcmV0", kid: "secret without algorithm" },
        { kty: "RSA", alg: "HS256", kid: "confused" },
        { kty: "OKP", crv: "X25519", x: "", kid: "agreement" },
        { kty: "constructor", kid: "constructor" },
        null,
        "text",
      ],
    }),
  );
  assert.deepEqual([...keys.keys()], ["a", "any", "pinned"]);
  assert.deepEqual(keys.get("a")?.algorithms, ["ES256"]);
  assert.deepEqual(keys.get("pinned")?.algorithms, ["RS256"]);
  assert.ok(keys.get("any")?.algorithms.every((name) => /^[RP]S\d{3}$/.test(name)));
});

test("the private part of a key is left out, and of two keys with an id the first counts", () => {
  const jwk = { ...ec.privateKey.export({ format: "jwk" }), kid: "a" };
  const other = { ...generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }), kid: "a" };
  const keys = parseKeySet(JSON.stringify({ keys: [jwk, other] }));
  assert.deepEqual(Object.keys(keys.get("a")?.jwk ?? {}), ["kty", "crv", "x", "y"]);
});

test("an empty list means that the issuer has no keys", () => {
  assert.equal(parseKeySet('{"keys":[]}').size, 0);
});

test("what is no key set, has too many keys, or none that can be used, is refused", () => {
  const many = Array.from({ length: 65 }, (_, n) => ({ ...publicKey, kid: `k${n}` }));
  for (const [text, why] of [
    ["<html>", /not JSON/],
    ["null", /no list of keys/],
    ["[]", /no list of keys/],
    ['{"keys":{}}', /no list of keys/],
    ['{"keys":[{}]}', /no public key/],
    [JSON.stringify({ keys: many }), /more than 64 keys/],
  ] as const)
    assert.throws(() => parseKeySet(text), why, text.slice(0, 20));
});
