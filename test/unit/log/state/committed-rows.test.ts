import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { CommittedRows } from "../../../../src/log/state/committed-rows.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";
import { emptyHead, encodeHead } from "../../../../src/log/state/row-codec.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";
import { MemoryRowStore } from "../../../support/rows/memory-row-store.ts";

const row: LogRow = {
  id: 1,
  name: "orders",
  settings: {},
  createdMs: 5,
  lowest: 0,
  next: 0,
  bytes: 0,
  lastMs: 0,
  lastIndex: 0,
  version: 2,
  closed: false,
};

test("a log that is deleted without a look at its row before is gone, also after the checkpoint", async () => {
  const store = new MemoryRowStore(new SimDisk(prng("disk")));
  const headAt = (index: number, size: number) => encodeHead({ index, crc: 0, head: { ...emptyHead, size } });
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, headAt(0, 0));
  const rows = new CommittedRows(database);
  const checkpoint = async (index: number, size: number): Promise<void> => {
    rows.freeze();
    await database.write(rows.changes(), headAt(index, size));
    rows.thaw(database);
  };
  rows.put(row.id, undefined, row);
  await checkpoint(2, 1);
  rows.put(row.id, row, undefined);
  await checkpoint(3, 0);
  assert.equal(rows.row(row.id), undefined);
  assert.equal(rows.named(row.name), undefined);
  assert.deepEqual(rows.namesFrom("", "", 10), []);
});
