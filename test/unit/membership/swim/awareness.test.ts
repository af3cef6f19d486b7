import assert from "node:assert/strict";
import { test } from "node:test";
import { Awareness } from "../../../../src/membership/swim/awareness.ts";

test("the health score stays between 0 and its maximum, exclusive", () => {
  const awareness = new Awareness(8);
  awareness.apply(-1);
  assert.equal(awareness.score, 0);
  awareness.apply(3);
  assert.equal(awareness.score, 3);
  awareness.apply(100);
  assert.equal(awareness.score, 7);
});
