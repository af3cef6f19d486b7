import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { OpenIdLogin } from "../../../../src/agent/tokens/login-provider.ts";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { TestIssuer } from "../../../support/tokens/test-issuer.ts";

/** A provider whose answers the test decides. */
async function provider(t: TestContext) {
  const answer = { configuration: {} as object, idToken: "", asked: 0, form: new URLSearchParams() };
  const server = createServer(async (request, response) => {
    answer.asked++;
    response.setHeader("content-type", "application/json");
    if (request.url === "/token") {
      answer.form = new URLSearchParams(await text(request));
      response.end(JSON.stringify({ access_token: "a", token_type: "Bearer", id_token: answer.idToken }));
    } else response.end(JSON.stringify(answer.configuration));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  answer.configuration = {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    id_token_signing_alg_values_supported: ["ES256"],
  };
  let nowMs = 0;
  const login = new OpenIdLogin({
    ...{ issuer, clientId: "tailrace", clientSecretFile: undefined, scopes: ["openid", "email"] },
    clock: { ...systemClock, monotonicMs: () => nowMs },
  });
  return { answer, issuer, login, wait: (ms: number) => (nowMs += ms) };
}

const callback = "http://127.0.0.1:1/login/callback";
const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "taken",
    (reason) => `${Fault.from(reason).kind}: ${Fault.from(reason).message}`,
  );

test("the nonce of the ID token, its issuer and the state must be those of the login", async (t) => {
  const { answer, issuer, login } = await provider(t);
  const signer = new TestIssuer();
  const { pending } = await login.begin(callback);
  const idToken = (claims: object) =>
    signer.sign({ claims: { iss: issuer, nonce: pending.nonce, ...claims } });
  const finish = (query = `code=c&state=${pending.state}`): Promise<string> =>
    outcome(login.finish(new URL(`${callback}?${query}`), pending));
  for (const [claims, why] of [
    [{ nonce: "another" }, /nonce/],
    [{ nonce: undefined }, /nonce/],
    [{ iss: "https://another.example" }, /iss/],
    [{ aud: "another" }, /aud/],
  ] as const) {
    answer.idToken = await idToken(claims);
    assert.match(await finish(), new RegExp(`^unauthenticated: the login is not valid: .*${why.source}`));
  }
  answer.idToken = await idToken({});
  assert.match(await finish("code=c&state=another"), /^unauthenticated: .*state/);
  assert.match(await finish("code=c"), /^unauthenticated: .*state/);
  assert.match(await finish(`state=${pending.state}`), /^unauthenticated: /);
  assert.match(
    await finish(`error=access_denied&state=${pending.state}`),
    /^unauthenticated: .*access_denied/,
  );
  assert.equal(await finish(), "taken");
  assert.notEqual((await login.begin(callback)).pending.state, pending.state);
});

test("the provider gets the verifier of this login, whose hash it got at its begin", async (t) => {
  const { answer, issuer, login } = await provider(t);
  const [{ url, pending }, other] = [await login.begin(callback), await login.begin(callback)];
  const asked = new URL(url).searchParams;
  const hash = createHash("sha256").update(pending.codeVerifier).digest("base64url");
  assert.deepEqual([asked.get("code_challenge"), asked.get("code_challenge_method")], [hash, "S256"]);
  assert.notEqual(other.pending.codeVerifier, pending.codeVerifier);
  answer.idToken = await new TestIssuer().sign({ claims: { iss: issuer, nonce: pending.nonce } });
  await login.finish(new URL(`${callback}?code=c&state=${pending.state}`), pending);
  assert.equal(answer.form.get("code_verifier"), pending.codeVerifier);
});

test("a provider that fails is asked again after ten seconds, and its configuration is read again after ten minutes", async (t) => {
  const { answer, issuer, login, wait } = await provider(t);
  const { configuration } = answer;
  answer.configuration = { ...configuration, issuer: "https://another.example" };
  const begin = (): Promise<string> => outcome(login.begin(callback));
  const failed = await Promise.all([begin(), begin(), begin()]);
  for (const text of failed) assert.match(text, new RegExp(`^unavailable: the configuration of ${issuer}`));
  assert.equal(answer.asked, 1);
  answer.configuration = configuration;
  wait(9_000);
  assert.match(await begin(), /^unavailable/);
  wait(2_000);
  assert.deepEqual([await begin(), await begin(), answer.asked], ["taken", "taken", 2]);
  wait(600_000);
  assert.deepEqual([await begin(), answer.asked], ["taken", 3]);
});

test("a configuration without usable endpoints is refused, and read again soon", async (t) => {
  const { answer, issuer, login, wait } = await provider(t);
  const good = answer.configuration;
  const wrong: readonly object[] = [
    { authorization_endpoint: undefined },
    { authorization_endpoint: 7 },
    { authorization_endpoint: "no URL" },
    { authorization_endpoint: "javascript:alert(1)" },
    { authorization_endpoint: `${issuer}/auth?x=${"a".repeat(3_000)}` },
    { token_endpoint: undefined },
    { token_endpoint: "file:///etc/passwd" },
  ];
  for (const part of wrong) {
    answer.configuration = { ...good, ...part };
    const [name = ""] = Object.keys(part);
    assert.match(await outcome(login.begin(callback)), new RegExp(`^unavailable: .*its ${name} is`));
    wait(10_000);
  }
  answer.configuration = good;
  assert.equal(await outcome(login.begin(callback)), "taken");
});
