import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { prng } from "../../../src/lib/prng.ts";
import { type Outgoing, SendQueue } from "../../../src/peer/connection/send-queue.ts";
import { Backoff } from "../../../src/peer/link/backoff.ts";
import { decodeFault, encodeFault } from "../../../src/peer/wire/fault-codec.ts";

const item = (bytes: number, more: Partial<Outgoing> = {}): Outgoing => ({ chunks: [], bytes, ...more });

describe("the queue of a lane", () => {
  test("gives what it took, in order, and never more at once than asked for", () => {
    const random = prng("queue");
    const queue = new SendQueue({ countMax: 50, bytesMax: 4_000 });
    const [sent, got]: [Outgoing[], Outgoing[]] = [[], []];
    let most = 0;
    for (let round = 0; round < 5_000; round++) {
      if (random.chance(0.6)) {
        const next = item(random.between(0, 300));
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

  test("something larger than all of the room may wait, but alone", () => {
    const queue = new SendQueue({ countMax: 10, bytesMax: 100 });
    assert.equal(queue.push(item(500)), true);
    assert.equal(queue.push(item(1)), false);
    assert.equal(queue.take(10).length, 1);
    assert.equal(queue.push(item(1)), true);
    assert.equal(queue.push(item(500)), false);
  });

  test("what is taken back when its turn comes is left out, and counts no more", () => {
    const queue = new SendQueue({ countMax: 10, bytesMax: 100 });
    const kept = item(10);
    queue.push(item(60, { begin: () => false }));
    queue.push(kept);
    assert.deepEqual(queue.take(5), [kept]);
    assert.equal(queue.bytes, 0);
  });

  test("when the lane ends all that waited is told so, and nothing that was taken", () => {
    const queue = new SendQueue({ countMax: 10, bytesMax: 100 });
    const dropped: number[] = [];
    for (const id of [1, 2, 3]) queue.push(item(10, { dropped: () => dropped.push(id) }));
    queue.take(1);
    queue.clear();
    assert.deepEqual(dropped, [2, 3]);
    assert.equal(queue.count, 0);
  });
});

describe("dialling again", () => {
  test("is at once at first, then ever later up to a second, half of it by chance", () => {
    const backoff = new Backoff(prng("backoff"));
    assert.equal(backoff.next(), 0);
    let full = 20;
    for (let attempt = 0; attempt < 12; attempt++) {
      const delay = backoff.next();
      assert.ok(delay >= full / 2 && delay <= full, `${delay} of ${full}`);
      full = Math.min(1_000, full * 2);
    }
  });

  test("is at once again after a link that lasted, and soon after one that did not", () => {
    const backoff = new Backoff(prng("backoff"));
    for (let attempt = 0; attempt < 9; attempt++) backoff.next();
    backoff.lost(100);
    const soon = backoff.next();
    assert.ok(soon >= 40 && soon <= 80);
    backoff.lost(10_000);
    assert.equal(backoff.next(), 0);
  });
});

describe("faults between peers", () => {
  test("travel with kind, sentence, facts and whether it was written, and without their cause", () => {
    const fault = new Fault("offset-mismatch", {
      message: "expected 3",
      facts: { expected: 3, code: "t", unreachable: true },
      written: "unknown",
      cause: new Error("a secret"),
    });
    const told = decodeFault(structuredClone(encodeFault(fault)));
    assert.equal(told.kind, "offset-mismatch");
    assert.equal(told.message, "expected 3");
    assert.deepEqual(told.facts, { expected: 3, code: "t", unreachable: true });
    assert.equal(told.written, "unknown");
    assert.equal(told.cause, undefined);
  });

  test("what is no fault here is unknown, and may have been written", () => {
    for (const value of [
      undefined,
      null,
      5,
      {},
      { kind: "from-the-future" },
      { kind: "unavailable", facts: 3 },
    ]) {
      const fault = decodeFault(value);
      assert.equal(fault.written, "unknown");
    }
    const future = decodeFault({ kind: "from-the-future", message: "m", written: "no" });
    assert.equal(future.kind, "unknown");
    assert.equal(future.written, "no");
    assert.equal(decodeFault(encodeFault(new TypeError("a bug"))).kind, "unknown");
  });
});
