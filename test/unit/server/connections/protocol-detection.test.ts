import assert from "node:assert/strict";
import { test } from "node:test";
import { detectProtocol } from "../../../../src/server/connections/protocol-detection.ts";

const spoken = (bytes: readonly number[] | string): string =>
  detectProtocol(typeof bytes === "string" ? Buffer.from(bytes) : Uint8Array.from(bytes));

test("the first bytes tell what a connection speaks", () => {
  assert.equal(spoken([0x16, 3, 1]), "tls");
  assert.equal(spoken("PRI "), "http2");
  assert.equal(spoken([0xa7, 0, 0]), "raft");
  for (let type = 0; type <= 13; type++) assert.equal(spoken([type, 0, 0]), "gossip");
  assert.equal(spoken([0xf4, 0, 0]), "gossip");
  for (const method of ["GET", "POST", "PUT", "PRO", "OPTIONS", "DELETE"])
    assert.equal(spoken(method), "http1");
  for (const first of [0x0e, 0x15, 0x17, 0x20, 0x30, 0x61, 0x7f, 0x80, 0xff]) {
    assert.equal(spoken([first, 0x52, 0x49]), "unknown", String(first));
  }
});
