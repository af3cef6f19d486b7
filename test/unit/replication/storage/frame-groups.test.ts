import assert from "node:assert/strict";
import { test } from "node:test";
import { frameGroups } from "../../../../src/replication/storage/frame-groups.ts";

test("entries that are neighbors in one buffer are one group, without a copy", () => {
  const shared = new Uint8Array([0, 1, 2, 3, 4, 5]);
  const entry = (index: number, bytes: Uint8Array) => ({ index, term: 1, bytes, change: undefined });
  const entries = [
    entry(4, shared.subarray(0, 1)),
    entry(5, shared.subarray(1, 3)),
    entry(6, shared.subarray(3, 4)),
    entry(7, shared.subarray(5, 6)),
    entry(8, new Uint8Array([9])),
  ];
  const groups = frameGroups(entries, 1);
  assert.deepEqual(
    groups.map(({ first, positions, bytes }) => [first, positions, [...bytes]]),
    [
      [5, [0, 2, 3], [1, 2, 3]],
      [7, [0, 1], [5]],
      [8, [0, 1], [9]],
    ],
  );
  assert.equal(groups[0]!.bytes.buffer, shared.buffer);
  assert.deepEqual(frameGroups(entries, entries.length), []);
});
