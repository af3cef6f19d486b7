import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isCompatible,
  understandsCrc,
  understandsNack,
  understandsTcpPing,
} from "../../../../src/membership/swim/versions.ts";

const versions = (hex: string): Buffer => Buffer.from(hex, "hex");

test("a member is compatible if both understand the versions that the other uses", () => {
  assert.equal(isCompatible(versions("010502020505")), true);
  assert.equal(isCompatible(versions("010502020504")), true, "Serf 4 is in our range");
  for (const bad of ["", "010500020505", "010503020505", "010502020506", "030502020505", "010502020404"]) {
    assert.equal(isCompatible(versions(bad)), false, bad);
  }
});

test("features depend on the highest memberlist version", () => {
  const features = (max: number): boolean[] =>
    [understandsTcpPing, understandsNack, understandsCrc].map((understands) =>
      understands(Buffer.from([1, max, 2, 2, 5, 5])),
    );
  assert.deepEqual(features(2), [false, false, false]);
  assert.deepEqual(features(3), [true, false, false]);
  assert.deepEqual(features(4), [true, true, false]);
  assert.deepEqual(features(5), [true, true, true]);
});
