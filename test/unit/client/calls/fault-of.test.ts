import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectErrorOf } from "../../../../src/api/calls/error-mapping.ts";
import { faultOf, retryDelayOf } from "../../../../src/client/calls/fault-of.ts";
import { Fault, faultKinds } from "../../../../src/fault.ts";

test("every fault that a node sends arrives as the same fault", () => {
  for (const kind of faultKinds) {
    for (const written of ["no", "unknown"] as const) {
      const sent = new Fault(kind, { written, facts: { tried: 7, leader: "7", unreachable: true } });
      const found = faultOf(wire(connectErrorOf(sent)));
      assert.equal(found.kind, kind);
      assert.equal(found.written, written);
      assert.deepEqual(found.facts, { tried: 7, leader: "7", unreachable: true });
      assert.equal(found.retry, sent.retry);
    }
  }
});

test("without ErrorInfo the outcome of a write is unknown, and a read wrote nothing", () => {
  for (const code of [Code.Unavailable, Code.Internal, Code.DeadlineExceeded, Code.Aborted]) {
    const error = new ConnectError("a proxy responded", code);
    assert.equal(faultOf(error).written, "unknown");
    assert.equal(faultOf(error).retry, false);
    assert.equal(faultOf(error, "read").written, "no");
  }
  assert.equal(faultOf(new ConnectError("x", Code.Unavailable), "read").kind, "unavailable");
});

test("only an error from before the request was sent counts as not written", () => {
  const node = (code: string, syscall?: string): Error => Object.assign(new Error(code), { code, syscall });
  const wrapped = (cause: unknown): ConnectError =>
    new ConnectError("failed", Code.Unavailable, undefined, undefined, cause);
  assert.equal(faultOf(wrapped(node("ECONNREFUSED"))).retry, true);
  assert.equal(faultOf(wrapped(node("ETIMEDOUT", "connect"))).written, "no");
  assert.equal(faultOf(wrapped(node("ETIMEDOUT", "read"))).written, "unknown");
  assert.equal(faultOf(wrapped(node("ECONNRESET", "read"))).written, "unknown");
  assert.equal(faultOf(wrapped(new AggregateError([node("ECONNREFUSED")]))).written, "no");
  assert.equal(faultOf(wrapped(node("CERT_HAS_EXPIRED"))).facts["unreachable"], true);
  assert.equal(faultOf(wrapped(node("ERR_HTTP2_ERROR"))).written, "unknown");
});

test("a node that requires TLS or a certificate is recognized, and nothing was written", () => {
  const node = (code: string, message: string): ConnectError =>
    new ConnectError(
      message,
      Code.Internal,
      undefined,
      undefined,
      Object.assign(new Error(message), { code }),
    );
  const plaintext = faultOf(node("ERR_HTTP2_SESSION_ERROR", "Session closed with error code 12"));
  assert.deepEqual([plaintext.kind, plaintext.written], ["unavailable", "no"]);
  assert.equal(plaintext.facts["unreachable"], true);
  assert.match(plaintext.message, /TLS/);
  assert.equal(
    faultOf(node("ERR_HTTP2_SESSION_ERROR", "Session closed with error code 2")).written,
    "unknown",
  );
  const bare = faultOf(node("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "40E3:error:0A00045C\n"));
  assert.deepEqual([bare.kind, bare.written], ["unauthenticated", "no"]);
  assert.doesNotMatch(faultOf(node("ERR_SSL_OTHER", "a line\n")).message, /\n/);
});

test("the message of a connection error explains what is wrong with the address", () => {
  const node = (code: string): ConnectError =>
    new ConnectError(
      "failed",
      Code.Unavailable,
      undefined,
      undefined,
      Object.assign(new Error(code), { code }),
    );
  assert.match(faultOf(node("ECONNREFUSED")).message, /nothing listens at this address; is the node running/);
  assert.match(faultOf(node("ENOTFOUND")).message, /the host name does not resolve/);
  const other = faultOf(node("ERR_HTTP2_ERROR"));
  assert.match(other.message, /does not speak HTTP\/2; a node does so on the port of its --addr/);
  assert.equal(other.facts["unreachable"], true);
});

test("a refused stream was not processed", () => {
  const refused = new ConnectError(
    "http/2 stream closed with error code REFUSED_STREAM (0x7)",
    Code.Unavailable,
  );
  assert.equal(faultOf(refused).retry, true);
  assert.equal(
    faultOf(wire(refused)).written,
    "unknown",
    "not if only the message of the node contains these words",
  );
});

test("the delay that a node asks for is returned", () => {
  const fault = faultOf(wire(connectErrorOf(new Fault("disk-full"))));
  assert.equal(retryDelayOf(fault), 5_000);
  assert.equal(retryDelayOf(new Fault("unavailable")), 0);
});

/** The error as the client receives it: its details are incoming ones. */
function wire(error: ConnectError): ConnectError {
  const received = new ConnectError(error.rawMessage, error.code);
  received.isWireError = true;
  received.details = error.details;
  return received;
}
