import assert from "node:assert/strict";
import { test } from "node:test";
import { Reclaim } from "../../../../src/agent/memory/reclaim.ts";
import { VirtualTime } from "../../../support/virtual-clock.ts";

const machine = { limitBytes: 1000, source: "cgroup" as const, heapBytes: 1000 };

test("garbage is collected above three fifths of the memory, with a pause between two collections", () => {
  const time = new VirtualTime();
  let resident = 500;
  let collections = 0;
  let looks = 0;
  const reclaim = new Reclaim({
    machine,
    clock: time.clock(),
    residentBytes: () => resident,
    collect: () => collections++,
    onLooked: () => looks++,
  });
  const pass = (): void => {
    while (time.step());
  };
  reclaim.look();
  pass();
  assert.deepEqual([looks, collections], [1, 0]);
  resident = 700;
  reclaim.look();
  reclaim.look();
  pass();
  assert.deepEqual([looks, collections], [2, 1], "one look at a time");
  const before = time.now;
  reclaim.look();
  pass();
  assert.equal(collections, 2);
  assert.ok(time.now - before >= 300);
  resident = 900;
  const short = time.now;
  reclaim.look();
  pass();
  assert.ok(time.now - short < 300, "sooner when memory is nearly used up");
  assert.equal(looks, 4);
});
