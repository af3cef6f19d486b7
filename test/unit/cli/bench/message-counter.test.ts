/** Messages in the pieces of a body. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { messageCounter } from "../../../../src/cli/bench/message-counter.ts";
import { encodeEnvelope } from "../../../../src/lib/envelope.ts";

test("messages are counted however the body is cut, also empty ones", () => {
  const body = Buffer.concat([0, 3, 0, 300, 1].map((size) => encodeEnvelope(Buffer.alloc(size))));
  for (const size of [1, 2, 5, 7, 64, body.length]) {
    const count = messageCounter();
    let messages = 0;
    for (let at = 0; at < body.length; at += size) messages += count(body.subarray(at, at + size));
    assert.equal(messages, 5, `pieces of ${size}`);
  }
  const count = messageCounter();
  assert.equal(count(body.subarray(0, body.length - 1)), 4);
  assert.equal(count(body.subarray(body.length - 1)), 1);
});
