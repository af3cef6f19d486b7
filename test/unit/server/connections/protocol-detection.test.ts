import assert from "node:assert/strict";
import { test } from "node:test";
import { detectProtocol } from "../../../../src/server/connections/protocol-detection.ts";

const protocolOf = (bytes: readonly number[] | string): string =>
  detectProtocol(typeof bytes === "string" ? Buffer.from(bytes) : Uint8Array.from(bytes));

test("the first bytes tell the protocol of a connection", () => {
  assert.equal(protocolOf([0x16, 3, 1]), "tls");
  assert.equal(protocolOf("PRI "), "http2");
  assert.equal(protocolOf([0xa7, 0, 0]), "raft");
  for (let type = 0; type <= 13; type++) assert.equal(protocolOf([type, 0, 0]), "gossip");
  assert.equal(protocolOf([0xf4, 0, 0]), "gossip");
  for (const method of ["GET", "POST", "PUT", "PRO", "OPTIONS", "DELETE"])
    assert.equal(protocolOf(method), "http1");
  for (const first of [0x0e, 0x15, 0x17, 0x20, 0x30, 0x61, 0x7f, 0x80, 0xff]) {
    assert.equal(protocolOf([first, 0x52, 0x49]), "unknown", String(first));
  }
});
