import assert from "node:assert/strict";
import { test } from "node:test";
import {
  address,
  bytes,
  duration,
  isLoopback,
  isWildcard,
  parseDuration,
} from "../../../src/lib/value-kind.ts";

test("each kind of value reads back what it prints", () => {
  const size = bytes(0);
  for (const value of [0, 1, 1023, 1024, 5 * 2 ** 30, 64 * 2 ** 20, 2 ** 40]) {
    assert.equal(size.parse(size.print(value)), value);
  }
  const time = duration(0, Number.MAX_SAFE_INTEGER);
  for (const value of [0, 1, 999, 1000, 90_000, 86_400_000, 123_456]) {
    assert.equal(time.parse(time.print(value)), value);
  }
  for (const text of ["127.0.0.1:8080", "[::1]:0", "host.example:65535", ":80"]) {
    assert.equal(address.print(address.parse(text)), text);
  }
});

test("a duration is the sum of its parts; any other text is refused", () => {
  assert.equal(parseDuration("1h30m"), 5_400_000);
  assert.equal(parseDuration("1d2h3m4s5ms"), 93_784_005);
  for (const bad of ["", "1", "h", "1.5h", "-1s", "1 h", "1w"])
    assert.equal(parseDuration(bad), undefined, bad);
});

test("an address needs a port, and brackets around an IPv6 host", () => {
  for (const bad of [
    "",
    "a",
    "a:",
    "a:b",
    "a:65536",
    "::1:80",
    "a b:1",
    "http://a:1",
    "a:1/",
    "\0:1",
    "a\x1b[1:1",
  ]) {
    assert.throws(() => address.parse(bad), /expected HOST:PORT/, bad);
  }
});

test("only loopback hosts count as loopback, and only unspecified hosts as wildcard", () => {
  for (const host of ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
    assert.equal(isLoopback(host), true, host);
  for (const host of ["", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example", "localhost.example"]) {
    assert.equal(isLoopback(host), false, host);
  }
  for (const host of ["", "0.0.0.0", "::"]) assert.equal(isWildcard(host), true);
});
