import assert from "node:assert/strict";
import { test } from "node:test";
import { SeenNames } from "../../../../src/log/recovery/seen-names.ts";

test("a name that was added before is among those of its hash, of 100,000 names", () => {
  const names = new SeenNames();
  let others = 0;
  for (let id = 1; id <= 100_000; id++) others += names.add(`orders/customer-${id}/events`, id).length;
  // Two of 100,000 random hashes of 32 bits are the same in one of two tries.
  assert.ok(others < 20, String(others));
  for (const id of [1, 77, 50_000, 100_000])
    assert.ok(names.add(`orders/customer-${id}/events`, 200_000 + id).includes(id));
});

test("names with one hash are told from each other by their ids", () => {
  const names = new SeenNames(() => 0xffff_ffff);
  for (let id = 1; id <= 500; id++)
    assert.deepEqual(
      [...names.add(`name ${id}`, id)].sort((one, other) => one - other),
      Array.from({ length: id - 1 }, (_, k) => k + 1),
    );
});
