import assert from "node:assert/strict";
import { test } from "node:test";
import { TimeLimit } from "../../../../../src/server/http/direct/time-limit.ts";
import { VirtualTime } from "../../../../support/time/virtual-clock.ts";

test("the time limit that was begun last applies, whether it is longer or shorter than the one before", () => {
  const time = new VirtualTime();
  const expired: number[] = [];
  const limit = new TimeLimit(time.clock(), () => expired.push(time.now));
  limit.begin(1000);
  time.after(600, () => limit.begin(1000));
  time.after(1200, () => limit.begin(50));
  while (time.step());
  assert.deepEqual([expired, limit.limitMs], [[1250], 50]);
});

test("nothing expires after the close", () => {
  const time = new VirtualTime();
  const limit = new TimeLimit(time.clock(), () => assert.fail("the time limit has expired"));
  limit.begin(10);
  limit.close();
  limit.begin(5);
  while (time.step());
});
