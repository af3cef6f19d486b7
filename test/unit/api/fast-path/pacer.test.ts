import assert from "node:assert/strict";
import { test } from "node:test";
import { Pacer } from "../../../../src/api/fast-path/pacer.ts";
import type { Clock } from "../../../../src/lib/time/clock.ts";

/** A clock that stands still until told, and keeps what it is asked to run. */
function handClock() {
  const asked: { delayMs: number; run: () => void }[] = [];
  let nowMs = 0;
  const clock = {
    monotonicMs: () => nowMs,
    soon: (run: () => void) => asked.push({ delayMs: 0, run }),
    after: (delayMs: number, run: () => void) => {
      asked.push({ delayMs, run });
      return { cancel: () => undefined };
    },
  } as unknown as Clock;
  return {
    clock,
    asked,
    work: (ms: number) => {
      nowMs += ms;
    },
    runNext: () => asked.shift()?.run(),
  };
}

test("all that are marked before the turn flush in it, each once", () => {
  const { clock, asked, runNext } = handClock();
  const pacer = new Pacer(clock);
  const flushed: number[] = [];
  for (const one of [1, 2, 3]) pacer.schedule({ flush: () => flushed.push(one) });
  assert.equal(asked.length, 1);
  runNext();
  assert.deepEqual(flushed, [1, 2, 3]);
  assert.equal(asked.length, 0);
});

test("one that marks itself again while it flushes has its next turn after the others", () => {
  const { clock, asked, runNext } = handClock();
  const pacer = new Pacer(clock);
  const flushed: string[] = [];
  const greedy = {
    flush: () => {
      flushed.push("greedy");
      if (flushed.length < 4) pacer.schedule(greedy);
    },
  };
  pacer.schedule(greedy);
  pacer.schedule({ flush: () => flushed.push("other") });
  runNext();
  assert.deepEqual(flushed, ["greedy", "other"]);
  runNext();
  assert.deepEqual(flushed, ["greedy", "other", "greedy"]);
  assert.equal(asked.length, 1);
});

test("after a turn it rests three times as long as the turn took, at most 20 ms; after a rest it is prompt again", () => {
  const hand = handClock();
  const pacer = new Pacer(hand.clock);
  const busy = (ms: number) => ({ flush: () => hand.work(ms) });
  pacer.schedule(busy(4));
  assert.equal(hand.asked[0]?.delayMs, 0);
  hand.runNext();
  pacer.schedule(busy(50));
  assert.equal(hand.asked[0]?.delayMs, 12);
  hand.work(12);
  hand.runNext();
  pacer.schedule(busy(1));
  assert.equal(hand.asked[0]?.delayMs, 20);
  hand.work(21);
  hand.runNext();
  hand.work(100);
  pacer.schedule(busy(1));
  assert.equal(hand.asked[0]?.delayMs, 0);
});

test("what a flush leaves to microtasks counts as part of the turn", async () => {
  const hand = handClock();
  const pacer = new Pacer(hand.clock);
  pacer.schedule({
    flush: () => {
      hand.work(1);
      queueMicrotask(() => hand.work(4));
    },
  });
  hand.runNext();
  await Promise.resolve();
  pacer.schedule({ flush: () => undefined });
  assert.equal(hand.asked[0]?.delayMs, 15);
});
