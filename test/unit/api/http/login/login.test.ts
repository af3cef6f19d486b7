import assert from "node:assert/strict";
import { test } from "node:test";
import { cookieOf, setCookie } from "../../../../../src/api/http/login/cookies.ts";
import { returnPathOf } from "../../../../../src/api/http/login/provider-login.ts";
import { canUseCookie } from "../../../../../src/api/http/origin-rules.ts";

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

test("over TLS a cookie has the prefix __Host-, and one without it does not count", () => {
  const wish = { value: "v", maxAgeS: 60.9, sameSite: "Strict" } as const;
  assert.equal(
    setCookie("tailrace-session", { ...wish, secure: true }),
    "__Host-tailrace-session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure",
  );
  assert.equal(
    setCookie("tailrace-session", { ...wish, secure: false }),
    "tailrace-session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict",
  );
  const header = "a=b; tailrace-session=plain; xtailrace-session=no; __Host-tailrace-session=secure=1";
  assert.equal(cookieOf(header, "tailrace-session", true), "secure=1");
  assert.equal(cookieOf(header, "tailrace-session", false), "plain");
  assert.equal(cookieOf(["a=b", "tailrace-session=c"], "tailrace-session", false), "c");
  assert.equal(cookieOf("tailrace-session=plain", "tailrace-session", true), undefined);
  assert.equal(cookieOf(undefined, "tailrace-session", true), undefined);
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
