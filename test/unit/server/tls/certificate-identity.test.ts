import assert from "node:assert/strict";
import { test } from "node:test";
import { alternativeNames, refusalOfCode } from "../../../../src/server/tls/certificate-identity.ts";

test("alternative names are split correctly, so that no value can pose as another", () => {
  assert.deepEqual(alternativeNames("DNS:localhost, IP Address:127.0.0.1, URI:urn:tailrace:node:*"), [
    "DNS:localhost",
    "IP Address:127.0.0.1",
    "URI:urn:tailrace:node:*",
  ]);
  assert.deepEqual(alternativeNames(""), []);
  const evil = `DNS:${JSON.stringify("x, URI:urn:tailrace:node:*")}, DNS:${JSON.stringify('a", URI:b')}`;
  assert.deepEqual(alternativeNames(evil), ["DNS:x, URI:urn:tailrace:node:*", 'DNS:a", URI:b']);
});

test("an unknown code is 'invalid'", () => {
  assert.equal(refusalOfCode("CERT_HAS_EXPIRED"), "expired");
  assert.equal(refusalOfCode("SOMETHING_NEW"), "invalid");
});
