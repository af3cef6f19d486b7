import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { requestTarget } from "../../../../../src/api/http/exchange/request-target.ts";

const targetOf = (url: string, rawHeaders: string[] = ["Host", "a:1"]) => {
  const request = { url, rawHeaders, headers: { host: rawHeaders[1] } };
  return requestTarget(request as IncomingMessage);
};

test("a path has the authority of the Host field", () => {
  assert.deepEqual(targetOf("/tail?from=0"), { target: "/tail?from=0", authority: "a:1" });
  assert.deepEqual(targetOf("*"), { target: "*", authority: "a:1" });
});

test("the authority of a target in absolute form replaces the Host field", () => {
  assert.deepEqual(targetOf("http://b:2/x?y"), { target: "/x?y", authority: "b:2" });
  assert.deepEqual(targetOf("HTTPS://b"), { target: "/", authority: "b" });
  assert.deepEqual(targetOf("http://b?y"), { target: "/?y", authority: "b" });
});

test("two Host fields, and a target that is neither a path nor a URL, are wrong", () => {
  assert.deepEqual(targetOf("/", ["host", "a", "HOST", "b"]), { wrong: "the host is given more than once" });
  for (const url of ["x", "ftp://b/", "http://"])
    assert.deepEqual(targetOf(url), { wrong: "the target is neither a path nor a URL" });
});
