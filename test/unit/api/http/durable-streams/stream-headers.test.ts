import assert from "node:assert/strict";
import { test } from "node:test";
import {
  infoHeaders,
  isTrue,
  lifetimeOf,
  offsetText,
  parseStreamStart,
} from "../../../../../src/api/http/durable-streams/stream-headers.ts";

const of = (headers: Record<string, string>) => ({ headers });

test("offsets have 16 digits, so they sort as texts", () => {
  assert.equal(offsetText(0), "0000000000000000");
  assert.equal(offsetText(Number.MAX_SAFE_INTEGER), "9007199254740991");
  assert.equal(parseStreamStart(offsetText(42)), 42);
  assert.equal(parseStreamStart("0000000000000000_0000000000000007"), 7, "as other servers write it");
  assert.deepEqual([parseStreamStart("-1"), parseStreamStart("now")], ["start", "now"]);
});

test("another text is no offset", () => {
  for (const text of [
    "",
    "0",
    "0,1",
    "0 1",
    "-2",
    "NOW",
    "9999999999999999",
    "0000000000000001_0000000000000007",
  ])
    assert.throws(() => parseStreamStart(text), { kind: "bad-request", facts: { field: "offset" } }, text);
});

test("a time to live is a whole number of seconds, an expiry a time", () => {
  assert.deepEqual(lifetimeOf(of({})), {});
  assert.deepEqual(lifetimeOf(of({ "stream-ttl": "60" })), { ttlMs: 60_000 });
  assert.deepEqual(lifetimeOf(of({ "stream-expires-at": "2030-01-01T00:00:00+01:00" })), {
    expiresAtMs: Date.UTC(2029, 11, 31, 23),
  });
  for (const ttl of ["", "0", "-1", "+1", "01", "1.0", "1e3", "99999999999999"])
    assert.throws(() => lifetimeOf(of({ "stream-ttl": ttl })), { kind: "bad-request" }, ttl);
  for (const time of ["tomorrow", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01"])
    assert.throws(() => lifetimeOf(of({ "stream-expires-at": time })), { kind: "bad-request" }, time);
  const both = { "stream-ttl": "1", "stream-expires-at": "2030-01-01T00:00:00Z" };
  assert.throws(() => lifetimeOf(of(both)), { kind: "bad-request" });
});

test("only true means true", () => {
  for (const value of ["true", "TRUE", " true "])
    assert.equal(isTrue(of({ "stream-closed": value }), "stream-closed"), true);
  for (const value of ["", "1", "yes", "false"])
    assert.equal(isTrue(of({ "stream-closed": value }), "stream-closed"), false);
});

test("the headers of a stream say its end, its lifetime and its closure", () => {
  const info = {
    ...{ id: 1, life: 1, name: "a", version: 1, bytes: 0, createdMs: 0, lastMs: 0, lowest: 0 },
    ...{ next: 3, closed: true, settings: { ttlMs: 1500, expiresAtMs: 0 } },
  };
  assert.deepEqual(infoHeaders(info), {
    "stream-next-offset": "0000000000000003",
    "stream-closed": "true",
    "stream-ttl": "2",
    "stream-expires-at": "1970-01-01T00:00:00.000Z",
  });
  const late = { ...info, settings: { expiresAtMs: Number.MAX_SAFE_INTEGER } };
  assert.equal(infoHeaders(late)["stream-expires-at"], "9999-12-31T23:59:59.999Z", "the last that there is");
});
