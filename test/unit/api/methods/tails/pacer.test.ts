import assert from "node:assert/strict";
import { test } from "node:test";
import { Pacer, pacerOf } from "../../../../../src/api/methods/tails/pacer.ts";
import type { Clock } from "../../../../../src/lib/time/clock.ts";

/** A clock that the test moves, and that records what it is asked to run. */
function handClock() {
  const asked: { delayMs: number; run: () => void }[] = [];
  let nowMs = 0;
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    soon: (run: () => void) => asked.push({ delayMs: 0, run }),
    after: (delayMs: number, run: () => void) => {
      asked.push({ delayMs, run });
      return { cancel: () => undefined };
    },
  };
  return {
    clock,
    asked,
    work: (ms: number) => {
      nowMs += ms;
    },
    runNext: () => asked.shift()?.run(),
  };
}

/** Turns of an event loop that always has time. */
const roomy = { mayBegin: () => true, wait: (): void => assert.fail("no turn is full") };

test("everything scheduled before a turn is flushed in it once", () => {
  const { clock, asked, runNext } = handClock();
  const pacer = new Pacer(clock, roomy);
  const flushed: number[] = [];
  for (const one of [1, 2, 3]) pacer.schedule({ flush: () => flushed.push(one) });
  assert.equal(asked.length, 1);
  runNext();
  assert.deepEqual(flushed, [1, 2, 3]);
  assert.equal(asked.length, 0);
});

test("a target that schedules itself while it is flushed waits until the others had their turn", () => {
  const { clock, asked, runNext } = handClock();
  const pacer = new Pacer(clock, roomy);
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

test("the pacer rests three times as long as a turn took, at most 20 ms, and is prompt after a rest", () => {
  const hand = handClock();
  const pacer = new Pacer(hand.clock, roomy);
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

test("microtasks of a flush count as part of the turn", async () => {
  const hand = handClock();
  const pacer = new Pacer(hand.clock, roomy);
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

test("tails for which the turn is too short are flushed in a later one, in their order", () => {
  const { clock, runNext } = handClock();
  const flushed: number[] = [];
  const later: (() => void)[] = [];
  const short = { mayBegin: () => flushed.length < 2, wait: (piece: () => void) => later.push(piece) };
  const pacer = new Pacer(clock, short);
  for (const one of [1, 2, 3, 4]) pacer.schedule({ flush: () => flushed.push(one) });
  runNext();
  assert.deepEqual([flushed, later.length], [[1, 2], 2]);
  for (const piece of later) piece();
  assert.deepEqual(flushed, [1, 2, 3, 4]);
});

test("all tails of a clock share one pacer", () => {
  const { clock } = handClock();
  assert.equal(pacerOf(clock), pacerOf(clock));
  assert.notEqual(pacerOf(clock), pacerOf(handClock().clock));
});
