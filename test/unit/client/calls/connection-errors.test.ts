import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  connectionErrorOf,
  connectionMessage,
  isConnectionClosed,
  isNotHttp2,
  isRefusedStream,
  isTlsRequired,
} from "../../../../src/client/calls/connection-errors.ts";

const systemError = (code: string, syscall?: string): Error =>
  Object.assign(new Error(`${syscall ?? "read"} ${code}`), { code, syscall });
const wrapped = (cause: unknown): ConnectError =>
  new ConnectError("failed", Code.Unavailable, undefined, undefined, cause);

test("a code that only a failed connect has means that nothing was sent", () => {
  assert.equal(connectionErrorOf(wrapped(systemError("ECONNREFUSED"))), "ECONNREFUSED");
  assert.equal(connectionErrorOf(wrapped(systemError("CERT_HAS_EXPIRED"))), "CERT_HAS_EXPIRED");
  assert.equal(connectionErrorOf(wrapped(new Error("other"))), undefined);
});

test("a code that an open connection can have too counts only from the system call connect", () => {
  assert.equal(connectionErrorOf(wrapped(systemError("ECONNRESET", "connect"))), "ECONNRESET");
  assert.equal(connectionErrorOf(wrapped(systemError("ECONNRESET", "read"))), undefined);
});

test("the code is found in the causes and among several addresses, and a cycle of causes ends", () => {
  const all = new AggregateError([new Error("first"), systemError("EHOSTUNREACH")]);
  assert.equal(connectionErrorOf(wrapped(new Error("outer", { cause: all }))), "EHOSTUNREACH");
  const cycle = new Error("cycle");
  cycle.cause = cycle;
  assert.equal(connectionErrorOf(wrapped(cycle)), undefined);
});

test("a message has the advice for its code, if there is any", () => {
  assert.equal(
    connectionMessage("connect failed ", "ENOTFOUND"),
    "connect failed: the host name does not resolve",
  );
  assert.equal(connectionMessage(" no route ", "EPIPE"), "no route");
});

test("a reset stream, a closed connection and a wrong protocol are told apart", () => {
  const refused = new ConnectError("stream closed with REFUSED_STREAM", Code.Unavailable);
  const closed = new ConnectError("http/2 stream closed with error code CANCEL (0x8)", Code.Canceled);
  const session = Object.assign(new Error("Session closed with error code 12"), {
    code: "ERR_HTTP2_SESSION_ERROR",
  });
  const errors = [refused, closed, wrapped(session), wrapped(systemError("ERR_HTTP2_ERROR"))];
  const matches = (test: (error: ConnectError) => boolean): boolean[] => errors.map(test);
  assert.deepEqual(matches(isRefusedStream), [true, false, false, false]);
  assert.deepEqual(matches(isConnectionClosed), [false, true, false, false]);
  assert.deepEqual(matches(isTlsRequired), [false, false, true, false]);
  assert.deepEqual(matches(isNotHttp2), [false, false, false, true]);
});
