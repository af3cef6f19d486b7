import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { ActiveLogIndex, lastBatchAt } from "../../../../src/log/index/log-index.ts";
import { encodeLogIndex } from "../../../../src/log/index/sealed-log-index.ts";
import { describedSegment, filledLogs, placesOf } from "../../../support/log/log-indexes.ts";

test("truncate removes the batches from an ordinal on, and logs without a batch", () => {
  const random = prng("truncate");
  const file = (index: ActiveLogIndex): Uint8Array => encodeLogIndex(index, describedSegment, placesOf(30));
  for (let round = 0; round < 100; round++) {
    const [index, expected] = [new ActiveLogIndex(), new ActiveLogIndex()];
    const cut = random.between(0, 30);
    for (let ordinal = 0; ordinal < 30; ordinal++) {
      const id = random.between(1, 4);
      index.append(id, ordinal, 3 * ordinal, () => id);
      if (ordinal < cut) expected.append(id, ordinal, 3 * ordinal, () => id);
    }
    index.truncate(cut);
    assert.deepEqual(file(index), file(expected));
    assert.equal(index.entries, cut);
    assert.deepEqual([...index.ids()].sort(), [...expected.ids()].sort());
  }
});

test("the last batch at an offset is found", () => {
  const batches = filledLogs().find(300)!;
  const at = (offset: number): number => lastBatchAt(batches, 2 ** 40 + offset);
  assert.deepEqual([at(-1), at(0), at(1), at(2), at(3)], [-1, 0, 0, 1, 1]);
});

test("the logs after an id come all at once from memory", () => {
  const active = filledLogs();
  assert.deepEqual(active.idsAfter(-1), [5, 300, 0xffff_ffff]);
  assert.deepEqual(active.idsAfter(5), [300, 0xffff_ffff]);
});
