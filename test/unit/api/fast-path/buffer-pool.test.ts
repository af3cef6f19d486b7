import assert from "node:assert/strict";
import { test } from "node:test";
import { BufferPool, type ReadBuffers } from "../../../../src/api/fast-path/buffer-pool.ts";

const borrow = (pool: BufferPool): ReadBuffers => {
  const buffers = pool.borrow();
  assert.ok(buffers !== undefined);
  return buffers;
};

test("a pool lends buffers to two readers, and to another one when one is released", () => {
  const pool = new BufferPool();
  const first = borrow(pool);
  borrow(pool);
  assert.equal(pool.borrow(), undefined);
  first.release();
  borrow(pool);
  assert.equal(pool.borrow(), undefined);
});

test("a buffer whose bytes are being sent is not offered again until they have left", () => {
  const buffers = borrow(new BufferPool());
  const used = new Set<ArrayBufferLike>();
  for (let taken = 0; taken < 4; taken++) {
    const { next } = buffers;
    assert.ok(next !== undefined && !used.has(next.buffer));
    assert.equal(buffers.next, next, "the same buffer until it is being sent");
    used.add(next.buffer);
    buffers.markSending(next.subarray(10, 20));
  }
  assert.deepEqual([buffers.next, buffers.isFull, buffers.isSending], [undefined, true, true]);
  buffers.markSent();
  assert.deepEqual([buffers.isFull, buffers.isSending], [false, false]);
  assert.ok(buffers.next !== undefined && used.has(buffers.next.buffer));
});

test("sending bytes of other memory takes no buffer", () => {
  const buffers = borrow(new BufferPool());
  const { next } = buffers;
  buffers.markSending(new Uint8Array(10));
  assert.deepEqual([buffers.isSending, buffers.next], [false, next]);
});
