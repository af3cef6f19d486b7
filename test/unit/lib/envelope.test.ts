import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeEnvelope, envelopeFlag, writeEnvelopeHead } from "../../../src/lib/envelope.ts";

test("an envelope is flags, a big-endian length and the message", () => {
  const envelope = encodeEnvelope(Uint8Array.of(7, 8), envelopeFlag.endStream);
  assert.deepEqual([...envelope], [2, 0, 0, 0, 2, 7, 8]);
  assert.deepEqual([...encodeEnvelope(new Uint8Array(0))], [0, 0, 0, 0, 0]);
});

test("the head of an envelope is written in front of a message that is already there", () => {
  const bytes = new Uint8Array(300).fill(9);
  assert.equal(writeEnvelopeHead(bytes, 2, 270), 270);
  assert.deepEqual([...bytes.subarray(0, 8)], [9, 9, 0, 0, 0, 1, 7, 9]);
});
