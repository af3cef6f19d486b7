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
