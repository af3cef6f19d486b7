/** Batches that are split and filtered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { batchWithout, splitBatch } from "../../../../src/client/produce/batch.ts";
import { OpenBatch } from "../../../../src/client/produce/open-batch.ts";

function sealed() {
  const open = new OpenBatch<string>({ recordsMax: 100, bytesMax: 1_000, lingerMs: 0 });
  open.add({ bytes: Uint8Array.of(1), count: 1 }, "a", 0, 50);
  open.add({ bytes: Uint8Array.of(2, 2), count: 2 }, "b", 0, 50);
  open.add({ bytes: Uint8Array.of(3, 3, 3), count: 3 }, "c", 0, 50);
  return open.seal();
}

test("the parts of a batch have its bytes, and its sequences", () => {
  const batch = sealed();
  batch.stamp = { id: 1n, epoch: 2, sequence: 10 };
  const parts = splitBatch(batch).map(({ run, items, stamp, expiresAt }) => [
    ...[[...run.bytes], run.count, items[0]?.ticket],
    ...[stamp?.sequence, expiresAt],
  ]);
  assert.deepEqual(parts, [
    [[1], 1, "a", 10, 50],
    [[2, 2], 2, "b", 11, 50],
    [[3, 3, 3], 3, "c", 13, 50],
  ]);
});

test("a batch without some of its runs has the others in order", () => {
  const batch = sealed();
  assert.equal(
    batchWithout(batch, () => false),
    batch,
  );
  assert.equal(
    batchWithout(batch, () => true),
    undefined,
  );
  const rest = batchWithout(batch, (ticket) => ticket === "b");
  assert.deepEqual(
    [[...rest!.run.bytes], rest!.run.count, rest!.items.map(({ ticket }) => ticket)],
    [[1, 3, 3, 3], 4, ["a", "c"]],
  );
});
