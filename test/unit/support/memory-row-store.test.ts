/** The store in memory behaves like the one on disk, and a crash keeps what was written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../src/lib/prng.ts";
import { SimDisk } from "../../support/disk/sim-disk.ts";
import { MemoryRowStore } from "../../support/rows/memory-row-store.ts";
import { headOf, put, sampleRow } from "../rows/row-samples.ts";
import { identityOf, rowStoreSuite } from "../rows/row-store-suite.ts";

function newStore(): { disk: SimDisk; store: MemoryRowStore; path: (name: string) => string } {
  const disk = new SimDisk(prng(1));
  disk.makeDirectory("/log");
  return { disk, store: new MemoryRowStore(disk), path: (name) => `/log/${name}.rows` };
}

rowStoreSuite("in memory", newStore);

test("in memory: a crash keeps the last write that completed, and ends the process's databases", async () => {
  const { disk, store } = newStore();
  const rows = await store.build(identityOf(1), headOf(0, 0));
  await rows.write([put(sampleRow(1))], headOf(1, 1));
  const pending = rows.write([put(sampleRow(2))], headOf(2, 2));
  disk.crash();
  await assert.rejects(pending);
  assert.throws(() => rows.row(1));
  const again = store.open(identityOf(1), 1);
  assert.equal(again.head.index, 1);
  disk.crashAfter(0);
  await assert.rejects(again.write([put(sampleRow(2))], headOf(2, 2)));
  disk.crash();
  assert.ok([1, 2].includes(store.open(identityOf(1), 1).head.index));
});
