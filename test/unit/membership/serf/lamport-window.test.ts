import assert from "node:assert/strict";
import { test } from "node:test";
import { LamportClock } from "../../../../src/membership/serf/lamport-clock.ts";
import { LamportWindow } from "../../../../src/membership/serf/lamport-window.ts";

function open(time = 1) {
  const window = new LamportWindow<string>(new LamportClock(time));
  const add = (lTime: number, item: string): boolean =>
    window.add(
      lTime,
      () => item,
      (other) => other === item,
    );
  return { window, add };
}

test("a message is new once per Lamport time", () => {
  const { add } = open();
  assert.deepEqual([add(1, "a"), add(1, "a"), add(1, "b"), add(2, "a")], [true, false, true, true]);
});

test("messages from before the start, before ignoreUpTo, or more than 512 times ago are known", () => {
  const { add, window } = open(10);
  assert.equal(add(9, "a"), false);
  window.ignoreUpTo(20);
  assert.deepEqual([add(20, "a"), add(21, "a")], [false, true]);
  assert.equal(add(1_000, "a"), true);
  assert.deepEqual([add(488, "b"), add(489, "b")], [false, true]);
});

test("at most 4,096 messages are kept, the newest times first", () => {
  const { add, window } = open();
  const added = Array.from({ length: 5_000 }, (_, count) => add(1 + (count % 500), `item ${count}`));
  assert.equal(added.filter(Boolean).length, 4_096);
  assert.equal(window.newestFirst()[0]?.lTime, 500);
  assert.equal(add(513, "replaces time 1"), true, "a newer time frees the slot of an older one");
});
