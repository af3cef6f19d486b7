import assert from "node:assert/strict";
import { test } from "node:test";
import { SignJWT, UnsecuredJWT } from "jose";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { cooldownMs, staleMsMax } from "../../../../src/tokens/issuer/issuer-keys.ts";
import {
  type IssuerWish,
  issuerAudience,
  issuerKey,
  issuerUrl,
  TestIssuer,
} from "../../../support/tokens/test-issuer.ts";
import { TestTokens } from "../../../support/tokens/test-tokens.ts";

let address = 0;

const open = async (options: ConstructorParameters<typeof TestIssuer>[0] = {}) => {
  const issuer = new TestIssuer(options);
  const tokens = await TestTokens.make({ issuer: issuer.tokens });
  issuer.onChange = () => tokens.onChange();
  const identify = (token: string) =>
    tokens.verifier.identify(token, `198.51.100.${++address % 250}:${address}`);
  const refusal = async (token: string): Promise<Fault> => {
    try {
      await identify(token);
    } catch (reason) {
      assert.ok(reason instanceof Fault, String(reason));
      return reason;
    }
    assert.fail("the token was taken");
  };
  return { issuer, tokens, identify, refusal };
};

const now = (): number => Math.floor(Date.now() / 1000);

test("a token of the issuer gives the rights of its subject, under a name that no certificate has", async () => {
  const { issuer, tokens, identify } = await open();
  const token = await issuer.sign({ claims: { jti: "j1", rights: "logs=orders/*:consume" } });
  const identity = await identify(token);
  assert.deepEqual([identity.subject, identity.isPeer, identity.issuer], ["oidc:alice", false, issuerUrl]);
  assert.equal(identity.token?.id, "oidc.j1");
  assert.ok(identity.token?.scopes?.allows("orders/eu", "consume"));
  assert.ok(!identity.token?.scopes?.allows("news", "consume"));
  assert.equal(tokens.verifier.known(token), identity);
  // A token of the cluster is taken as before.
  assert.equal((await identify(await tokens.issue("alice"))).subject, "alice");
  for (const wish of [
    { header: { typ: "JWT" } },
    { header: { typ: "at+jwt" } },
    { claims: { aud: ["others", "another-of-ours"] } },
    { claims: { iat: now() + 50, nbf: now() + 50 } },
    { claims: { rights: ["logs=a:consume", "logs=b:produce"] } },
  ])
    assert.equal((await identify(await issuer.sign(wish))).subject, "oidc:alice", JSON.stringify(wish));
});

test("a wrong issuer, audience, time, subject, type or scope is refused", async () => {
  const { issuer, refusal } = await open();
  const wrong: readonly IssuerWish[] = [
    { claims: { iss: `${issuerUrl}/` } },
    { claims: { iss: "https://login.example.org" } },
    { claims: { iss: undefined } },
    { claims: { iss: "tailrace" } },
    { claims: { aud: "another" } },
    { claims: { aud: [] } },
    { claims: { aud: undefined } },
    { claims: { exp: now() } },
    { claims: { exp: now() - 1 } },
    { claims: { exp: undefined } },
    { claims: { exp: now() + 367 * 86_400 } },
    { claims: { iat: undefined } },
    { claims: { iat: now() + 90 } },
    { claims: { nbf: now() + 90 } },
    { claims: { sub: undefined } },
    { claims: { sub: "" } },
    { claims: { sub: "a\u202eb" } },
    { claims: { sub: ["alice"] } },
    { claims: { sub: "a".repeat(300) } },
    { claims: { rights: 7 } },
    { claims: { rights: "openid profile" } },
    { claims: { rights: "logs=*:peer" } },
    { claims: { cnf: { jkt: "x" } } },
    { claims: { events: { "http://schemas.openid.net/event/backchannel-logout": {} } } },
    { header: { typ: "logout+jwt" } },
    { header: { typ: "dpop+jwt" } },
    { header: { typ: "tailrace+jwt" } },
    { header: { kid: undefined } },
    { header: { kid: "" } },
    { header: { kid: "k".repeat(300) } },
  ];
  for (const wish of wrong) {
    const fault = await refusal(await issuer.sign(wish));
    assert.equal(fault.kind, "unauthenticated", JSON.stringify(wish));
  }
  for (const exp of [now() - 1, now() - 300]) {
    const expired = await issuer.sign({ claims: { iat: now() - 600, exp } });
    assert.equal((await refusal(expired)).facts.reason, "TOKEN_EXPIRED", "the end of a token is exact");
  }
});

test("no algorithm but those of the key is taken: not none, not HMAC with the public key, not another key", async () => {
  const { issuer, refusal } = await open();
  const claims = { iss: issuerUrl, aud: issuerAudience, sub: "root", iat: now(), exp: now() + 60 };
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const [, , signature] = (await issuer.sign()).split(".");
  const hmac = (secret: string): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "k1" }).sign(Buffer.from(secret.padEnd(32)));
  const forged = {
    none: new UnsecuredJWT(claims).encode(),
    "none with a key id": `${encoded({ alg: "none", kid: "k1" })}.${encoded(claims)}.`,
    HS256: await hmac(JSON.stringify(issuer.published[0]?.publicJwk)),
    "another key under this id": await issuer.sign({ key: issuerKey("k1") }),
    "changed claims": `${encoded({ alg: "ES256", kid: "k1" })}.${encoded(claims)}.${signature}`,
    "a key in the token": await issuer.sign({
      key: issuerKey("k1"),
      header: { jwk: issuerKey("k1").publicJwk },
    }),
    "the algorithm of another type": `${encoded({ alg: "RS256", kid: "k1" })}.${encoded(claims)}.${signature}`,
  };
  for (const [name, token] of Object.entries(forged))
    assert.equal((await refusal(token)).kind, "unauthenticated", name);
});

test("an address names the subject only if the issuer has verified it", async () => {
  const { issuer, identify, refusal } = await open({ subjectClaim: "email" });
  const email = "alice@example.org";
  const sign = (claims: Readonly<Record<string, unknown>>): Promise<string> => issuer.sign({ claims });
  assert.equal((await refusal(await sign({ email }))).kind, "unauthenticated");
  assert.equal((await refusal(await sign({ email, email_verified: "true" }))).kind, "unauthenticated");
  assert.equal((await identify(await sign({ email, email_verified: true }))).subject, `oidc:${email}`);
});

test("a new key counts at once, and a key that is removed ends the tokens that it signed", async () => {
  const { issuer, tokens, identify, refusal } = await open();
  const [first] = issuer.published;
  const [second] = [issuerKey("k2")];
  const before = await issuer.sign();
  assert.equal(issuer.loads, 0, "the issuer is asked when its first token comes");
  const { token: rights } = await identify(before);
  let changes = 0;
  tokens.onChange = () => changes++;
  issuer.published = [first!, second];
  await issuer.keys.reload();
  assert.equal((await identify(await issuer.sign({ key: second }))).subject, "oidc:alice");
  assert.equal(rights?.invalid(), undefined, "the key before is still one");
  issuer.published = [second];
  await issuer.keys.reload();
  assert.equal(rights?.invalid()?.facts.reason, "TOKEN_KEY_UNKNOWN");
  assert.equal(changes, 2);
  assert.equal((await refusal(before)).facts.reason, "TOKEN_KEY_UNKNOWN");
  issuer.published = [issuerKey("k2")];
  await issuer.keys.reload();
  assert.equal(
    (await refusal(await issuer.sign({ key: second }))).kind,
    "unauthenticated",
    "the id has another key",
  );
});

test("tokens of unknown keys, and an issuer that fails, cause one request in each cooldown", async () => {
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs, after: () => ({ cancel: () => {} }) };
  const { issuer, tokens, identify } = await open({ clock });
  const flood = async (): Promise<Set<string>> => {
    const kinds = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const token = await issuer.sign({ header: { kid: `made-up-${nowMs}-${n}` } });
        return identify(token).then(
          () => "taken",
          (reason) => Fault.from(reason).kind,
        );
      }),
    );
    return new Set(kinds);
  };
  issuer.failure = new Error("the network is down");
  assert.deepEqual([await flood(), issuer.loads], [new Set(["unavailable"]), 1]);
  issuer.failure = undefined;
  nowMs += cooldownMs - 1;
  assert.deepEqual([await flood(), issuer.loads], [new Set(["unavailable"]), 1]);
  nowMs += 1;
  assert.deepEqual([await flood(), issuer.loads], [new Set(["unauthenticated"]), 2]);
  assert.deepEqual([await flood(), issuer.loads], [new Set(["unauthenticated"]), 2]);
  // A known key needs no request.
  const token = await issuer.sign();
  const { token: rights } = await identify(token);
  assert.equal(issuer.loads, 2);
  // Keys that cannot be loaded again count for a day.
  issuer.failure = new Error("the network is down");
  nowMs += staleMsMax;
  await issuer.keys.reload();
  assert.equal(rights?.invalid(), undefined);
  nowMs += 1;
  await issuer.keys.reload();
  assert.equal(rights?.invalid()?.facts.reason, "TOKEN_KEY_UNKNOWN");
  assert.equal(tokens.verifier.known(token), undefined);
});

test("a revoked token without an id stays revoked when its signature is written in another way", async () => {
  const { issuer, tokens, identify, refusal } = await open();
  const token = await issuer.sign();
  // The last character of a signature of 64 bytes has four bits that count for nothing.
  const [last = "", ...letters] = [
    token.at(-1),
    ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
  ];
  const place = letters.indexOf(last);
  const others = letters.slice(place & ~15, (place & ~15) + 16).map((each) => token.slice(0, -1) + each);
  assert.equal((await identify(others.find((other) => other !== token) ?? "")).subject, "oidc:alice");
  const { token: rights } = await identify(token);
  tokens.change({ kind: "revoke", id: rights?.id ?? "", untilMs: Number.MAX_SAFE_INTEGER });
  for (const other of others) assert.equal((await refusal(other)).facts.reason, "TOKEN_REVOKED");
});

test("tokens of the issuer are revoked by their id and by their subject", async () => {
  const { issuer, tokens, identify } = await open();
  const { token: byId } = await identify(await issuer.sign({ claims: { jti: "a b" } }));
  const { token: bySubject } = await identify(await issuer.sign({ claims: { jti: "j2" } }));
  assert.match(byId?.id ?? "", /^oidc\.[\w-]{43}$/, "an id that cannot be revoked is replaced by a hash");
  tokens.change({ kind: "revoke", id: byId?.id ?? "", untilMs: Number.MAX_SAFE_INTEGER });
  assert.equal(byId?.invalid()?.facts.reason, "TOKEN_REVOKED");
  assert.equal(bySubject?.invalid(), undefined);
  tokens.change({ kind: "revoke-subject", subject: "alice", issuedUntilMs: Date.now() });
  assert.equal(bySubject?.invalid(), undefined, "alice of the cluster is another subject");
  tokens.change({ kind: "revoke-subject", subject: "oidc:alice", issuedUntilMs: Date.now() });
  assert.equal(bySubject?.invalid()?.facts.reason, "TOKEN_REVOKED");
});
