import assert from "node:assert/strict";
import { test } from "node:test";
import { isLogsPath, logNameOf } from "../../../../../src/api/http/logs/log-path.ts";
import { Fault } from "../../../../../src/fault.ts";

test("the list and every path below /logs/ are paths of logs", () => {
  for (const path of ["/logs", "/logs/", "/logs/a/b"]) assert.equal(isLogsPath(path), true, path);
  for (const path of ["/", "/log", "/logsx", "/tail"]) assert.equal(isLogsPath(path), false, path);
});

test("each element is decoded once, and %2F is a slash of the name", () => {
  assert.equal(logNameOf("/logs/a/b"), "a/b");
  assert.equal(logNameOf("/logs/a%2Fb"), "a/b");
  assert.equal(logNameOf("/logs/a%252Fb"), "a%2Fb");
  assert.equal(logNameOf("/logs/%F0%9F%98%80+1"), "😀+1");
  assert.equal(logNameOf("/logs/default"), "default");
});

test("every name comes back from its encoded path", () => {
  for (const name of ["a", "a b/c d", "100%", "é/😀", "'!~()", "a&b=c;d"]) {
    const path = `/logs/${name.split("/").map(encodeURIComponent).join("/")}`;
    assert.equal(logNameOf(path), name);
  }
});

test("what is no name is refused as a bad request", () => {
  for (const rest of [
    "",
    "a/",
    "/a",
    "a//b",
    "..",
    "a/%2e%2E",
    "%2F",
    "%",
    "%ff",
    "é",
    "a b",
    "_a",
    "x".repeat(99_999),
  ])
    assert.throws(
      () => logNameOf(`/logs/${rest}`),
      (reason: unknown) =>
        reason instanceof Fault && reason.kind === "bad-request" && reason.facts.field === "log",
      rest,
    );
});
