import assert from "node:assert/strict";
import { test } from "node:test";
import { Reclaim } from "../../../../src/agent/memory/reclaim.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const machine = { limitBytes: 1000, source: "cgroup" as const, heapBytes: 1000 };

test("garbage is collected above 60 % of the memory, with a pause between two collections", () => {
  const time = new VirtualTime();
  let resident = 500;
  let collections = 0;
  let checks = 0;
  const reclaim = new Reclaim({
    machine,
    clock: time.clock(),
    residentBytes: () => resident,
    collect: () => collections++,
    onChecked: () => checks++,
  });
  const pass = (): void => {
    while (time.step());
  };
  reclaim.check();
  pass();
  assert.deepEqual([checks, collections], [1, 0]);
  resident = 700;
  reclaim.check();
  reclaim.check();
  pass();
  assert.deepEqual([checks, collections], [2, 1], "one check at a time");
  const before = time.now;
  reclaim.check();
  pass();
  assert.equal(collections, 2);
  assert.ok(time.now - before >= 300);
  resident = 900;
  const short = time.now;
  reclaim.check();
  pass();
  assert.ok(time.now - short < 300, "earlier if memory is nearly used up");
  assert.equal(checks, 4);
});
