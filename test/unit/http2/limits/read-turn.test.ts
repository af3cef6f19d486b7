import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadTurn, requestWork } from "../../../../src/http2/limits/read-turn.ts";

/** A turn that allows 2 requests (16 light ones) or 5 ms. */
function turnAt(nowMs: number) {
  const clock = {
    nowMs,
    reads: 0,
    monotonicMs() {
      clock.reads++;
      return clock.nowMs;
    },
  };
  const turn = new ReadTurn({ requestsPerTurn: 2, turnMs: 5 }, clock);
  turn.begin();
  clock.reads = 0;
  return { clock, turn };
}

test("a turn is over after eight light requests for each full one", () => {
  const { turn } = turnAt(0);
  for (let at = 0; at < 15; at++) turn.addRequest();
  assert.equal(turn.isOver, false);
  turn.addRequest();
  assert.equal(turn.isOver, true);
});

test("a turn is over after its full requests", () => {
  const { turn } = turnAt(0);
  turn.addWork(requestWork);
  assert.equal(turn.isOver, false);
  turn.addWork(requestWork);
  assert.equal(turn.isOver, true);
});

test("work that is not light ends the turn after its time, and light requests do not read the clock", () => {
  const { clock, turn } = turnAt(0);
  turn.addRequest();
  clock.nowMs = 10;
  assert.equal(turn.isOver, false);
  assert.equal(clock.reads, 0);
  turn.addWork(1);
  assert.equal(turn.isOver, true);
  assert.equal(turn.isOver, true, "it stays over");
  assert.equal(clock.reads, 1);
});

test("the next turn begins without work", () => {
  const { clock, turn } = turnAt(0);
  turn.addWork(2 * requestWork);
  clock.nowMs = 7;
  turn.begin();
  assert.deepEqual([turn.isOver, turn.nowMs, turn.number], [false, 7, 2]);
});
