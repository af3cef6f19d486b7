import assert from "node:assert/strict";
import { test } from "node:test";
import { connectionLimits, descriptorReserve } from "../../../../src/server/connections/connection-limits.ts";

const limits = (descriptors: number | undefined, connectionsMax = 16_384, perClientMax = 0) =>
  connectionLimits({ connectionsMax, perClientMax, descriptors });

test("all connections together leave the reserve of descriptors free", () => {
  for (const descriptors of [64, 100, 256, 1000, 1024, 4096, 65_536]) {
    const { totalMax } = limits(descriptors);
    assert.ok(totalMax + descriptorReserve(descriptors) <= descriptors, `${descriptors}: ${totalMax}`);
  }
  assert.equal(descriptorReserve(1024), 256);
  assert.equal(limits(1024).clientsMax, 576);
});

test("the settings apply if there are enough descriptors", () => {
  for (const descriptors of [undefined, 1_048_576, 65_536]) {
    const { clientsMax, perClientMax } = limits(descriptors);
    assert.deepEqual([clientsMax, perClientMax], [16_384, 8192]);
  }
  assert.equal(limits(undefined, 50).clientsMax, 50);
  assert.equal(limits(undefined, 50).perClientMax, 25);
  assert.equal(limits(undefined, 1).perClientMax, 1);
  assert.equal(limits(undefined, 50, 10).perClientMax, 10);
  assert.equal(limits(undefined, 50, 80).perClientMax, 50);
});
