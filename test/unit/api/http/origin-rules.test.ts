import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bracketIpv6,
  canChangeState,
  corsHeaders,
  isKnownHost,
  preflightHeaders,
} from "../../../../src/api/http/origin-rules.ts";

const rules = { origins: ["https://good.example"], hosts: ["log.example"] };
const self = "https://log.example:8080";

test("only listed origins get CORS headers, with their name and not with a star", () => {
  assert.equal(
    corsHeaders("https://good.example", rules)?.["access-control-allow-origin"],
    "https://good.example",
  );
  for (const origin of [
    "https://good.example:444",
    "http://good.example",
    "https://x.good.example",
    "null",
    "*",
  ]) {
    assert.equal(corsHeaders(origin, rules), undefined, origin);
  }
  assert.doesNotMatch(JSON.stringify([corsHeaders("https://good.example", rules), preflightHeaders]), /\*/);
});

test("a change can come from the same origin, a listed origin or a program", () => {
  const may = (origin?: string, fetchSite?: string) => canChangeState({ origin, fetchSite, self }, rules);
  assert.equal(may(), true);
  assert.equal(may(self), true);
  assert.equal(may("https://good.example", "cross-site"), true);
  assert.equal(may(undefined, "same-origin"), true);
  assert.equal(may(undefined, "none"), true);
  assert.equal(may("https://log.example"), false);
  assert.equal(may("http://log.example:8080"), false);
  assert.equal(may("https://proxy.example", "same-origin"), true);
  assert.equal(may("https://proxy.example", "same-site"), false);
  assert.equal(may("null"), false);
  assert.equal(may(undefined, "same-site"), false);
  assert.equal(may(undefined, "cross-site"), false);
});

test("names that DNS rebinding could use are not known", () => {
  for (const host of ["localhost:1", "127.0.0.1", "[::1]:80", "10.1.2.3:4", "LOG.example:80"]) {
    assert.equal(isKnownHost(host, rules), true, host);
  }
  for (const host of [
    "",
    "evil.example",
    "localhost.evil.example",
    // A URL with such a name leads to evil.example.
    ...["/", "?", "#", "\\", "/a"].map((sign) => `evil.example${sign}.localhost`),
    "127.0.0.1.nip.example",
    "xlog.example",
    "1.2.3",
  ]) {
    assert.equal(isKnownHost(host, rules), false, host);
  }
});

test("an IPv6 authority without brackets gets them; any other authority stays", () => {
  assert.equal(bracketIpv6("::1:8080"), "[::1]:8080");
  assert.equal(bracketIpv6("fe80::1:2:3:80"), "[fe80::1:2:3]:80");
  for (const right of ["[::1]:8080", "localhost:80", "127.0.0.1:80", "log.example", "x:y:80", ":80", ""])
    assert.equal(bracketIpv6(right), right);
});

test("authorities of 16,000 colons, digits or brackets cost no more than their length", () => {
  const began = performance.now();
  for (let round = 0; round < 200; round++) {
    for (const long of [":", "1", ":1", "a:", "[", "[:", "]:1", "f:"]) {
      const authority = `${long.repeat(16_000 / long.length)}x:80`;
      assert.equal(bracketIpv6(authority), authority);
      assert.equal(isKnownHost(authority, rules), false);
    }
  }
  // One such authority took 30 ms and more.
  assert.ok(performance.now() - began < 5_000);
});
