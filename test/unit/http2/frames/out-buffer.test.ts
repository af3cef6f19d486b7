import assert from "node:assert/strict";
import { test } from "node:test";
import { OutBuffer } from "../../../../src/http2/frames/out-buffer.ts";

test("small pieces are joined, large ones are passed on without a copy, in order", () => {
  const out = new OutBuffer();
  const large = Buffer.alloc(5000, 2);
  out.add(Buffer.of(1, 1));
  out.add(large);
  out.add(Buffer.of(3));
  assert.equal(out.bytes, 5003);
  const chunks = out.take();
  assert.deepEqual(
    chunks.map(({ length }) => length),
    [2, 5000, 1],
  );
  assert.equal(chunks[1], large);
  assert.equal(out.bytes, 0);
  assert.deepEqual(out.take(), []);
});

test("taken bytes are not overwritten, also beyond the size of one block", () => {
  const out = new OutBuffer();
  const taken: Uint8Array[] = [];
  const added: Buffer[] = [];
  for (let at = 0; at < 100; at++) {
    const piece = Buffer.alloc(1000, at);
    added.push(piece);
    out.add(piece);
    if (at % 3 === 0) taken.push(...out.take());
  }
  taken.push(...out.take());
  assert.deepEqual(Buffer.concat(taken), Buffer.concat(added));
});
