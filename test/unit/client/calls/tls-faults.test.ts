/** The faults of failed TLS handshakes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultOf } from "../../../../src/client/calls/fault-of.ts";

const error = (code: string, message = "handshake") => Object.assign(new Error(message), { code });

test("a refused certificate, another CA and a plaintext port are distinguished, and nothing was written", () => {
  for (const [code, kind, message] of [
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "unauthenticated", /requires a client certificate/],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "unauthenticated", /does not trust the CA/],
    ["ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED", "unauthenticated", /has expired/],
    ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "unauthenticated", /has expired/],
    ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "unauthenticated", /refuses the client certificate/],
    ["SELF_SIGNED_CERT_IN_CHAIN", "unavailable", /not signed by the given CA/],
    ["CERT_HAS_EXPIRED", "unavailable", /the node's certificate has expired/],
    ["ERR_OSSL_X509_KEY_VALUES_MISMATCH", "unavailable", /does not belong to the certificate/],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "unavailable", /port is plaintext/],
  ] as const) {
    const fault = faultOf(error(code), "write");
    assert.equal(fault.kind, kind, code);
    assert.equal(fault.written, "no", code);
    assert.match(fault.message, message, code);
  }
  const early = "Client network socket disconnected before secure TLS connection was established";
  assert.match(faultOf(error("ECONNRESET", early)).message, /port is plaintext/);
});

test("a connection that is reset after the handshake leaves the outcome of a write unknown", () => {
  assert.equal(faultOf(error("ECONNRESET", "read ECONNRESET"), "write").written, "unknown");
  const read = faultOf(error("ECONNRESET", "read ECONNRESET"), "read");
  assert.equal(read.written, "no");
  assert.match(read.message, /connection was closed before the response was complete/);
});
