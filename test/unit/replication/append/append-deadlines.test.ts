import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fault } from "../../../../src/fault.ts";
import { AppendQueue } from "../../../../src/log/mod.ts";
import { AppendDeadlines } from "../../../../src/replication/append/append-deadlines.ts";
import { run, StillClock } from "../../../support/log/logs.ts";

test("an append fails with an unknown outcome at its deadline, and the timer stops after the last deadline", () => {
  const clock = new StillClock();
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const { group } = queue.add({ run: run("a"), owner: { log: undefined, subject: "s" } });
  const failed: string[] = [];
  const wait = (name: string, afterMs: number | undefined): void => {
    group.wait({
      place: 0,
      count: 1,
      duplicate: false,
      logId: undefined,
      deadlineMs: afterMs === undefined ? undefined : clock.monotonicMs() + afterMs,
      resolve: () => {},
      reject: (fault: Fault) => failed.push(`${name} ${fault.kind} ${fault.written}`),
    });
  };
  const deadlines = new AppendDeadlines(clock, () => queue.groups());
  wait("without deadline", undefined);
  assert.equal(clock.timers, 0);
  wait("early", 40);
  wait("late", 90);
  deadlines.start();
  deadlines.start();
  assert.equal(clock.timers, 1);
  clock.advance(50);
  assert.deepEqual(failed, ["early deadline unknown"]);
  clock.advance(50);
  assert.ok(failed.includes("late deadline unknown"));
  assert.equal(clock.timers, 0);
});

test("many late appends are rejected in turns: each of them once", async () => {
  const clock = new StillClock();
  const turns: (() => void)[] = [];
  clock.soon = (work) => turns.push(work);
  const queue = new AppendQueue({ bytesMax: 1e9, appendsMax: 1e6 });
  const count = 3_000;
  const rejected: number[] = [];
  const deadlines = new AppendDeadlines(clock, () => queue.groups());
  for (let at = 0; at <= count; at++) {
    const { group } = queue.add({ run: run("a"), owner: { log: undefined, subject: `${at}` } });
    group.wait({
      ...{ place: at, count: 1, duplicate: false, logId: undefined, resolve: () => {} },
      deadlineMs: clock.monotonicMs() + (at === count ? 1_000 : 10),
      reject: () => rejected.push(at),
    });
    deadlines.start();
  }
  clock.advance(50);
  for (let before = 0; rejected.length > before; turns.shift()?.()) {
    assert.ok(rejected.length - before <= 512, `${rejected.length - before} were rejected in a turn`);
    before = rejected.length;
  }
  clock.advance(50);
  assert.equal(rejected.length, count);
  assert.equal(clock.timers, 1);
  for (let waited = 0; clock.timers > 0 && waited < 40; waited++) clock.advance(50);
  assert.deepEqual([rejected.length, clock.timers], [count + 1, 0]);
});
