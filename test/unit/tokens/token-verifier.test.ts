import assert from "node:assert/strict";
import { test } from "node:test";
import { importJWK, SignJWT, UnsecuredJWT } from "jose";
import { Fault } from "../../../src/fault.ts";
import { makeSigningKey } from "../../../src/tokens/issue-token.ts";
import { tokenBytesMax } from "../../../src/tokens/limits.ts";
import { tokenType } from "../../../src/tokens/token-verifier.ts";
import { TestTokens, testAudience } from "../../support/tokens/test-tokens.ts";

const peer = "192.0.2.7:1234";
const second = 1_000;

/** A token with any header and claims, signed by the key. */
async function signed(
  tokens: TestTokens,
  { header = {}, claims = {} }: { header?: Record<string, unknown>; claims?: Record<string, unknown> },
): Promise<string> {
  const { kty, crv, x, d, kid } = tokens.key;
  const now = Math.floor(tokens.nowMs() / second);
  const payload = {
    iss: "tailrace",
    aud: testAudience,
    sub: "alice",
    jti: "j",
    iat: now,
    exp: now + 60,
    ...claims,
  };
  return new SignJWT(Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg: "EdDSA", typ: tokenType, kid, ...header })
    .sign(await importJWK({ kty, crv, x, d }, "EdDSA"));
}

const refusal = async (tokens: TestTokens, token: string, from = peer): Promise<Fault> => {
  try {
    await tokens.verifier.identify(token, from);
  } catch (reason) {
    assert.ok(reason instanceof Fault, String(reason));
    return reason;
  }
  assert.fail("the token was taken");
};

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

test("a token gives the rights of its subject, narrowed by its scopes, until it expires", async () => {
  const tokens = await TestTokens.make();
  const token = await tokens.issue("alice", { scope: "logs=orders/*:consume", lifeMs: 60 * second });
  assert.equal(tokens.verifier.known(token), undefined);
  const identity = await tokens.verifier.identify(token, peer);
  assert.deepEqual([identity.subject, identity.isPeer, identity.token?.id], ["alice", false, "t1"]);
  assert.ok(identity.token?.scopes?.allows("orders/eu", "consume"));
  assert.equal(tokens.verifier.known(token), identity);
  assert.equal(await tokens.verifier.identify(token, peer), identity, "it is verified once");
  const { expiresMs } = identity.token!;
  tokens.nowMs = () => expiresMs - 1;
  assert.equal(identity.token?.invalid(), undefined);
  tokens.nowMs = () => expiresMs;
  assert.equal(identity.token?.invalid()?.facts.reason, "TOKEN_EXPIRED");
  assert.equal(tokens.verifier.known(token), undefined);
  assert.equal((await refusal(tokens, token)).facts.reason, "TOKEN_EXPIRED");
});

test("the algorithm is that of the key: none, HMAC with the public key, and other keys are refused", async () => {
  const tokens = await TestTokens.make();
  const { kid, x } = tokens.key;
  const [, claims, signature] = (await tokens.issue("alice")).split(".") as [string, string, string];
  const hmac = async (secret: Uint8Array): Promise<string> =>
    new SignJWT({ sub: "root" })
      .setProtectedHeader({ alg: "HS256", typ: tokenType, kid })
      .setIssuer("tailrace")
      .setAudience(testAudience)
      .setJti("h")
      .setIssuedAt()
      .setExpirationTime("1m")
      .sign(secret);
  const stranger = { ...(await makeSigningKey()), audience: testAudience };
  const forged = {
    none: new UnsecuredJWT({ sub: "root", jti: "n" })
      .setIssuer("tailrace")
      .setAudience(testAudience)
      .setIssuedAt()
      .setExpirationTime("1m")
      .encode(),
    "none with a key id": `${encoded({ alg: "none", typ: tokenType, kid })}.${claims}.`,
    "none with a signature": `${encoded({ alg: "none", typ: tokenType, kid })}.${claims}.${signature}`,
    "HS256 with the public key as bytes": await hmac(Buffer.from(x, "base64url")),
    "HS256 with the public key as text": await hmac(Buffer.from(x)),
    "another key under this id": await tokens.issue("root", { key: { ...stranger, kid } }),
    "a key in the token": `${encoded({ alg: "EdDSA", typ: tokenType, kid, jwk: { kty: "OKP", crv: "Ed25519", x: stranger.x } })}.${(await tokens.issue("root", { key: { ...stranger, kid } })).split(".").slice(1).join(".")}`,
    "changed claims": `${encoded({ alg: "EdDSA", typ: tokenType, kid })}.${encoded({ sub: "root" })}.${signature}`,
    "a critical extension": await signed(tokens, { header: { crit: ["x"], x: 1 } }).catch(
      () => `${encoded({ alg: "EdDSA", typ: tokenType, kid, crit: ["x"], x: 1 })}.${claims}.${signature}`,
    ),
    "another type": await signed(tokens, { header: { typ: "JWT" } }),
    "no type": await signed(tokens, { header: { typ: undefined } }),
  };
  let address = 0;
  for (const [name, token] of Object.entries(forged)) {
    const fault = await refusal(tokens, token, `192.0.2.${++address}:1`);
    assert.equal(fault.kind, "unauthenticated", name);
    assert.equal(tokens.verifier.known(token), undefined, name);
  }
  const unknown = await refusal(tokens, await tokens.issue("root", { key: stranger }), "192.0.2.200:1");
  assert.equal(unknown.facts.reason, "TOKEN_KEY_UNKNOWN");
  assert.match(unknown.message, /not one of this cluster/);
});

test("issuer, audience, subject, id and times are checked", async () => {
  const tokens = await TestTokens.make();
  const now = Math.floor(tokens.nowMs() / second);
  const wrong: readonly Record<string, unknown>[] = [
    { iss: "another" },
    { iss: undefined },
    { aud: "another" },
    { aud: undefined },
    { sub: undefined },
    { sub: "" },
    { sub: "local" },
    { sub: "anonymous" },
    { sub: " alice" },
    { sub: "a\u202eb" },
    { sub: "a".repeat(300) },
    { sub: ["alice"] },
    { jti: undefined },
    { jti: "has space" },
    { jti: "a".repeat(65) },
    { exp: undefined },
    { exp: "soon" },
    { exp: now },
    { exp: now - 30 },
    { exp: now + 367 * 86_400 },
    { iat: undefined },
    { iat: now + 90, exp: now + 600 },
    { iat: "now" },
    { nbf: now + 90 },
    { scope: 1 },
    { scope: ["logs=*:consume"] },
    { scope: "logs=*:everything" },
  ];
  for (const [at, claims] of wrong.entries()) {
    const fault = await refusal(tokens, await signed(tokens, { claims }), `192.0.2.${at}:1`);
    assert.equal(fault.kind, "unauthenticated", JSON.stringify(claims));
  }
  // A clock of the issuer that is up to a minute ahead is not refused.
  const ahead = await signed(tokens, { claims: { iat: now + 50, nbf: now + 50, exp: now + 600 } });
  assert.equal((await tokens.verifier.identify(ahead, peer)).subject, "alice");
});

test("huge tokens, deep JSON and rubbish are refused without work", async () => {
  const tokens = await TestTokens.make();
  const { kid } = tokens.key;
  const deep = `${"[".repeat(2_500)}${"]".repeat(2_500)}`;
  const text = (value: string): string => Buffer.from(value).toString("base64url");
  const rubbish = [
    "x".repeat(tokenBytesMax + 1),
    "x".repeat(10_000_000),
    "x",
    "a.b.c",
    "...",
    ".".repeat(8_000),
    `${text(deep)}.${text(deep)}.${text("s")}`,
    `${text(`{"alg":"EdDSA","kid":"${kid}","typ":${deep}}`)}.e30.${text("s")}`,
    `${text('{"alg":"EdDSA","kid":{"__proto__":1}}')}.e30.e30`,
    `${encoded({ alg: "EdDSA", kid: "x".repeat(100) })}.e30.e30`,
  ];
  for (const [at, token] of rubbish.entries())
    assert.equal(
      (await refusal(tokens, token, `198.51.100.${at}:1`)).kind,
      "unauthenticated",
      token.slice(0, 20),
    );
  assert.match((await refusal(tokens, "x".repeat(9_000), "198.51.100.99:1")).message, /at most 8192 bytes/);
});

test("a revoked token, a revoked subject and a removed or retired key end a token that is in use", async () => {
  const tokens = await TestTokens.make();
  const reasonAfter = async (change: () => void): Promise<string | undefined> => {
    const token = await tokens.issue("alice");
    const { token: rights } = await tokens.verifier.identify(token, peer);
    assert.equal(rights?.invalid(), undefined);
    change();
    assert.equal(tokens.verifier.known(token), undefined);
    assert.equal((await refusal(tokens, token, "192.0.2.9:1")).kind, "unauthenticated");
    return rights?.invalid()?.facts.reason;
  };
  const later = Number.MAX_SAFE_INTEGER;
  assert.equal(
    await reasonAfter(() => tokens.change({ kind: "revoke", id: "t1", untilMs: later })),
    "TOKEN_REVOKED",
  );
  const subject = { kind: "revoke-subject", subject: "alice" } as const;
  assert.equal(
    await reasonAfter(() => tokens.change({ ...subject, issuedUntilMs: tokens.nowMs() })),
    "TOKEN_REVOKED",
  );
  const issuedLater = tokens.nowMs() + 5_000;
  tokens.nowMs = () => issuedLater;
  assert.equal(await reasonAfter(() => tokens.add(tokens.key, issuedLater)), "TOKEN_KEY_RETIRED");
  tokens.add(tokens.key);
  assert.equal(
    await reasonAfter(() => tokens.change({ kind: "remove-key", id: tokens.key.kid })),
    "TOKEN_KEY_UNKNOWN",
  );
});

test("a token of a key that this node has not heard of yet is looked at again with what the leader knows", async () => {
  const tokens = await TestTokens.make();
  const added = { ...(await makeSigningKey()), audience: testAudience };
  const token = await tokens.issue("alice", { key: added });
  tokens.onRefresh = () => tokens.add(added);
  assert.equal((await tokens.verifier.identify(token, peer)).subject, "alice");
  assert.equal(tokens.refreshes, 1);
});

test("before the state was compared with that of the leader, no token is taken", async () => {
  let isConfirmed = false;
  let leader: Fault | undefined = new Fault("unavailable", { message: "no leader" });
  const tokens = await TestTokens.make({
    isConfirmed: () => isConfirmed,
    refresh: async () => {
      if (leader !== undefined) throw leader;
      tokens.change({ kind: "revoke", id: "t1", untilMs: Number.MAX_SAFE_INTEGER });
      isConfirmed = true;
    },
  });
  const token = await tokens.issue("alice");
  assert.equal((await refusal(tokens, token)).kind, "unavailable");
  leader = undefined;
  assert.equal((await refusal(tokens, token)).facts.reason, "TOKEN_REVOKED");
});

test("an address that fails often waits, others do not, and a token that is known goes on", async () => {
  const tokens = await TestTokens.make();
  const good = await tokens.issue("alice");
  await tokens.verifier.identify(good, peer);
  let limited: Fault | undefined;
  for (let n = 0; n < 40 && limited === undefined; n++) {
    const fault = await refusal(tokens, `bad${n}`);
    if (fault.kind === "overloaded") limited = fault;
  }
  assert.match(limited?.message ?? "", /too many tokens from this address were not valid/);
  assert.equal((await tokens.verifier.identify(good, peer)).subject, "alice");
  const fresh = await tokens.issue("bob");
  assert.equal((await refusal(tokens, fresh)).kind, "overloaded");
  assert.equal((await tokens.verifier.identify(fresh, "192.0.2.8:1")).subject, "bob");
});

test("an address has a share of the tokens that are being verified", async () => {
  const held = Promise.withResolvers<void>();
  const tokens = await TestTokens.make({ isConfirmed: () => false, refresh: () => held.promise });
  const verify = (token: string, from: string): Promise<string> =>
    tokens.verifier.identify(token, from).then(
      () => "taken",
      (reason) => Fault.from(reason).kind,
    );
  const waiting = Array.from({ length: 32 }, (_, n) => verify(`x${n}`, peer));
  const another = verify("another", peer);
  const same = verify("x0", peer);
  const token = await tokens.issue("alice");
  const other = verify(token, "192.0.2.8:1234");
  held.resolve();
  assert.deepEqual(await Promise.all([...waiting, same]), Array(33).fill("unauthenticated"));
  assert.equal(await another, "overloaded");
  assert.equal(await other, "taken");
  for (let n = 0; n < 40; n++)
    assert.equal(
      await verify(await tokens.issue("bob"), "192.0.2.8:1234"),
      "taken",
      "its places are free again",
    );
});
