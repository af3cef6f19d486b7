import assert from "node:assert/strict";
import { test } from "node:test";
import { localIdentity, namedIdentity } from "../../../../../src/access/mod.ts";
import { Credentials } from "../../../../../src/api/http/credentials.ts";
import { cookieOf, removeCookie, setCookie } from "../../../../../src/api/http/login/cookies.ts";
import type { LoginOptions } from "../../../../../src/api/http/login/login-routes.ts";
import { ProviderLogin, returnPathOf } from "../../../../../src/api/http/login/provider-login.ts";
import { canUseCookie } from "../../../../../src/api/http/origin-rules.ts";
import { Fault } from "../../../../../src/fault.ts";
import { systemClock } from "../../../../../src/lib/time/clock.ts";

test("a login leads back to the dashboard only", () => {
  for (const path of ["/ui/", "/ui/?log=a&from=0", "/ui/?log=%2F%2Fevil.example"])
    assert.equal(returnPathOf(path), path);
  const wrong = [
    ...["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:x", ""],
    ...["/ui", "/ui//evil.example", "/ui/../logs", "/ui/..//evil.example", "/ui/\\..\\..", "/logs", " /ui/"],
    ...[
      "/ui/\r\nset-cookie: x=y",
      "https://evil.example/ui/",
      "//evil.example/ui/",
      `/ui/?${"x".repeat(2_000)}`,
    ],
  ];
  for (const path of [...wrong, null]) assert.equal(returnPathOf(path), "/ui/", String(path));
  assert.equal(returnPathOf("/ui/?a=\r\nb"), "/ui/?a=b", "no line can be added to the headers");
});

const cookie = (secure: boolean, clusterTag = "0a") =>
  ({ name: "tailrace-session", clusterTag, secure }) as const;

test("over TLS a cookie has the prefix __Host-, and one without it or of another cluster does not count", () => {
  const wish = { value: "v", maxAgeS: 60.9, sameSite: "Strict" } as const;
  assert.equal(
    setCookie(cookie(true), wish),
    "__Host-tailrace-session-0a=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure",
  );
  assert.equal(
    setCookie(cookie(false), wish),
    "tailrace-session-0a=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict",
  );
  assert.match(removeCookie(cookie(true)), /^__Host-tailrace-session-0a=; .*Max-Age=0/);
  const header =
    "a=b; tailrace-session-0a=plain; xtailrace-session-0a=no; __Host-tailrace-session-0a=secure=1";
  assert.equal(cookieOf(header, cookie(true)), "secure=1");
  assert.equal(cookieOf(header, cookie(false)), "plain");
  assert.equal(cookieOf(header, cookie(false, "0b")), undefined);
  assert.equal(cookieOf(["a=b", "tailrace-session-0a=c"], cookie(false)), "c");
  assert.equal(cookieOf("tailrace-session-0a=plain", cookie(true)), undefined);
  assert.equal(cookieOf(undefined, cookie(true)), undefined);
});

test("a cookie that comes twice is refused", () => {
  for (const header of [
    "tailrace-session-0a=x; tailrace-session-0a=y",
    ["tailrace-session-0a=x", "tailrace-session-0a=x"],
  ])
    assert.throws(() => cookieOf(header, cookie(false)), { kind: "unauthenticated", message: /twice/ });
});

const plaintext = { identity: localIdentity, peer: "192.0.2.1:1", secure: false };

test("a header Authorization without a token leaves the session; a cookie that is not valid is refused", async () => {
  const alice = namedIdentity("alice");
  const sessions = {
    clusterTag: "0a",
    known: (value: string) => (value === "good" ? alice : undefined),
    identify: async (value: string) => {
      if (value === "good") return alice;
      throw new Fault("unauthenticated", { message: "x" });
    },
  } as unknown as LoginOptions["sessions"];
  const tokens = { known: () => undefined, identify: () => Promise.reject(new Error("not asked")) };
  const origins = { origins: [], hosts: [] };
  const credentials = new Credentials({ tokens, login: { sessions }, origins });
  const request = (value: string, authorization: string) => {
    const headers = {
      cookie: `tailrace-session-0a=${value}`,
      authorization,
      host: "localhost",
      origin: "http://localhost",
    };
    return { method: "GET", headers, authority: "localhost" };
  };
  for (const authorization of ["", "Basic x", "Negotiate"]) {
    const good = request("good", authorization);
    assert.equal((await credentials.of(good, plaintext))?.identity, alice, authorization);
    assert.equal(credentials.known(good.headers, plaintext)?.identity, alice, authorization);
  }
  for (const value of ["dead", "good; tailrace-session-0a=dead"]) {
    const dead = request(value, "");
    assert.equal(credentials.known(dead.headers, plaintext), undefined);
    await assert.rejects(credentials.of(dead, plaintext) ?? Promise.resolve(), { kind: "unauthenticated" });
  }
});

/** The logins of a provider that takes no code, until the test changes that. */
function logins() {
  const asked: string[] = [];
  let nowMs = 0;
  let wallMs = 0;
  let answer = (): Promise<string> =>
    Promise.reject(new Fault("unauthenticated", { message: "invalid_grant" }));
  let begun = 0;
  const login = new ProviderLogin({
    provider: {
      name: "p",
      begin: async () => ({ url: "u", pending: { state: `s${++begun}`, nonce: "n", codeVerifier: "v" } }),
      finish: (url) => {
        asked.push(url.search);
        return answer();
      },
    },
    sessions: {
      seal: async (_purpose, bytes) => Buffer.from(bytes).toString("base64url"),
      unseal: async (_purpose, text) => Buffer.from(text, "base64url"),
    },
    clock: { ...systemClock, monotonicMs: () => nowMs, wallMs: () => wallMs },
  });
  const attempt = async (peer: string): Promise<string> => {
    const { cookie } = await login.begin("https://localhost/login/callback", "/ui/");
    const [state] = JSON.parse(Buffer.from(cookie, "base64url").toString()) as [string];
    return login.finish(cookie, `code=c&state=${state}`, peer).then(
      ({ token }) => token,
      (reason) => Fault.from(reason).kind,
    );
  };
  return {
    ...{ asked, login, attempt },
    wait(ms: number): void {
      nowMs += ms;
      wallMs += ms;
    },
    answer: (next: () => Promise<string>) => {
      answer = next;
    },
  };
}

test("failed callbacks of an address are limited, and the provider is not asked again", async () => {
  const { asked, attempt, wait, answer } = logins();
  for (let n = 0; n < 20; n++) assert.equal(await attempt("192.0.2.1:1"), "unauthenticated");
  assert.equal(await attempt("192.0.2.1:2"), "overloaded");
  assert.equal(asked.length, 20);
  answer(async () => "token");
  assert.equal(await attempt("192.0.2.2:1"), "token");
  wait(1_000);
  assert.equal(await attempt("192.0.2.1:1"), "token");
});

test("a network has at most 4 logins that are being completed, and all have 32", async () => {
  const { attempt, answer } = logins();
  const { promise, resolve } = Promise.withResolvers<string>();
  answer(() => promise);
  const attempts = Array.from({ length: 5 }, () => attempt("192.0.2.1:1"));
  const none = new Promise((done) => setImmediate(done, "none"));
  assert.equal(await Promise.race([...attempts, none]), "overloaded");
  for (let n = 2; n <= 9; n++) attempts.push(...Array.from({ length: 4 }, () => attempt(`192.0.2.${n}:1`)));
  await new Promise((done) => setImmediate(done));
  resolve("token");
  const outcomes = await Promise.all(attempts);
  assert.equal(outcomes.filter((one) => one === "token").length, 32);
  assert.equal(await attempt("192.0.2.1:1"), "token");
});

test("a callback with another state does not complete the login", async () => {
  const { login, asked, answer } = logins();
  answer(async () => "token");
  const { cookie } = await login.begin("https://localhost/login/callback", "/ui/");
  for (const query of ["code=c&state=other", "code=c", ""])
    await assert.rejects(login.finish(cookie, query, "192.0.2.1:1"), { message: /its state/ });
  assert.equal(asked.length, 0);
  assert.equal((await login.finish(cookie, "code=c&state=s1", "192.0.2.1:1")).token, "token");
  await assert.rejects(login.finish(cookie, "code=c&state=s1", "192.0.2.1:1"), { message: /before/ });
});

test("a login that takes more than ten minutes is not completed", async () => {
  const { login, answer, wait } = logins();
  answer(async () => "token");
  const { cookie } = await login.begin("https://localhost/login/callback", "/ui/");
  wait(600_000);
  await assert.rejects(login.finish(cookie, "code=c&state=s1", "192.0.2.1:1"), { message: /took too long/ });
});

test("a cookie counts for pages of this server and of listed origins, and without a page for reads only", () => {
  const self = "https://log.example";
  const rules = { origins: ["https://listed.example"], hosts: [] };
  const counts = (origin: string | undefined, fetchSite: string | undefined): string =>
    [true, false]
      .map((isRead) => (canUseCookie({ origin, fetchSite, self }, isRead, rules) ? "yes" : "no"))
      .join();
  assert.deepEqual(
    [
      counts(undefined, "same-origin"),
      counts(self, "same-origin"),
      counts(self, undefined),
      counts("https://listed.example", "same-site"),
      counts(undefined, "none"),
      counts(undefined, undefined),
      counts(undefined, "same-site"),
      counts(undefined, "cross-site"),
      counts("https://evil.example", undefined),
      counts("https://evil.example", "cross-site"),
      counts("null", undefined),
    ],
    [
      "yes,yes",
      "yes,yes",
      "yes,yes",
      "yes,yes",
      "yes,no",
      "yes,no",
      "no,no",
      "no,no",
      "no,no",
      "no,no",
      "no,no",
    ],
  );
});
