import assert from "node:assert/strict";
import { test } from "node:test";
import { Ticker } from "../../../../src/raft/node/ticker.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

function open({ isIdle = (): boolean => false } = {}) {
  const time = new VirtualTime();
  const clock = time.clock();
  const at: number[] = [];
  const ticker = new Ticker({ clock, tickMs: 10, tick: () => at.push(time.now), isIdle });
  const runTo = (ms: number): void => {
    while ((time.next ?? Number.POSITIVE_INFINITY) <= ms) time.step();
  };
  ticker.start();
  return { time, clock, at, ticker, runTo };
}

test("a node ticks once a tick, and ten times less often while it is idle", () => {
  let idle = false;
  const { at, runTo } = open({ isIdle: () => idle });
  runTo(30);
  idle = true;
  runTo(250);
  assert.deepEqual(at, [10, 20, 30, 40, 140, 240]);
});

test("a pause of the process counts as one tick, which comes after what else is due", () => {
  const { time, clock, at, runTo } = open();
  runTo(10);
  const order: string[] = [];
  clock.pause(1_000);
  clock.after(500, () => order.push(`socket before tick ${at.length}`));
  runTo(1_010);
  assert.deepEqual(order, ["socket before tick 1"]);
  assert.equal(at.length, 2);
  runTo(1_020);
  assert.deepEqual([at.length, time.now], [3, 1_020]);
});

test("a stopped ticker never ticks again, not even for a tick that is due after a pause", () => {
  const { clock, at, ticker, runTo } = open();
  clock.pause(100);
  clock.after(50, () => ticker.stop());
  runTo(1_000);
  assert.deepEqual(at, []);
});
