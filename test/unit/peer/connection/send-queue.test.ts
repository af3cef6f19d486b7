import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { type QueuedFrame, SendQueue } from "../../../../src/peer/connection/send-queue.ts";

const frame = (bytes: number, more: Partial<QueuedFrame> = {}): QueuedFrame => ({
  chunks: [],
  bytes,
  ...more,
});

describe("a send queue", () => {
  test("returns frames in order, and at most the requested bytes at once", () => {
    const random = prng("queue");
    const queue = new SendQueue({ countMax: 50, bytesMax: 4_000 });
    const [sent, got]: [QueuedFrame[], QueuedFrame[]] = [[], []];
    let most = 0;
    for (let round = 0; round < 5_000; round++) {
      if (random.chance(0.6)) {
        const next = frame(random.between(0, 300));
        const [count, bytes] = [queue.count, queue.bytes];
        if (queue.push(next)) sent.push(next);
        else assert.ok(count === 50 || bytes + next.bytes > 4_000);
      } else {
        const taken = queue.take(500);
        assert.ok(taken.length <= 1 || taken.reduce((sum, { bytes }) => sum + bytes, 0) <= 500);
        got.push(...taken);
      }
      most = Math.max(most, queue.bytes);
      assert.ok(queue.bytes <= 4_000 && queue.count <= 50);
    }
    while (queue.count > 0) got.push(...queue.take(500));
    assert.deepEqual(got, sent);
    assert.ok(most > 3_500);
    assert.equal(queue.bytes, 0);
  });

  test("accepts a frame beyond its limit only while it is empty", () => {
    const queue = new SendQueue({ countMax: 10, bytesMax: 100 });
    assert.equal(queue.push(frame(500)), true);
    assert.equal(queue.push(frame(1)), false);
    assert.equal(queue.take(10).length, 1);
    assert.equal(queue.push(frame(1)), true);
    assert.equal(queue.push(frame(500)), false);
  });

  test("leaves out a frame that its owner withdraws", () => {
    const queue = new SendQueue({ countMax: 10, bytesMax: 100 });
    const kept = frame(10);
    queue.push(frame(60, { begin: () => false }));
    queue.push(kept);
    assert.deepEqual(queue.take(5), [kept]);
    assert.equal(queue.bytes, 0);
  });

  test("informs the owners of queued frames when the connection ends", () => {
    const queue = new SendQueue({ countMax: 10, bytesMax: 100 });
    const dropped: number[] = [];
    for (const id of [1, 2, 3]) queue.push(frame(10, { dropped: () => dropped.push(id) }));
    queue.take(1);
    queue.clear();
    assert.deepEqual(dropped, [2, 3]);
    assert.equal(queue.count, 0);
  });
});
