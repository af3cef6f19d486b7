import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { basePath, writeBase } from "../../../../src/log/rows/base-files.ts";
import { HeldRows } from "../../../../src/log/rows/held-rows.ts";
import { writeOwners, writeOwnersNow } from "../../../../src/log/rows/owner-usage.ts";
import type { LogRow } from "../../../../src/log/state/log-row.ts";
import { decodeUsage, emptyHead } from "../../../../src/log/state/row-codec.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";
import { MemoryRowStore } from "../../../support/rows/memory-row-store.ts";

const row = (id: number, owner: string): LogRow => ({
  ...{ id, name: `log ${id}`, settings: {}, owner, createdMs: 5, lowest: 0, next: 1, bytes: id % 7 },
  ...{ lastMs: 0, lastIndex: 0, version: 2, closed: false },
});

test("a database that is built from a base gets the sums of all owners, in parts and in steps", async () => {
  const disk = new SimDisk(prng("disk"));
  disk.makeDirectory("/log");
  const place = { disk, directory: "/log" };
  const count = 40_000;
  // The logs of an owner are far from each other, so parts meet owners that an earlier part has written.
  const rows = Array.from({ length: count }, (_, n) => row(n + 1, `owner ${n % 20_000}`));
  writeBase(place, { index: 9, crc: 1, head: { ...emptyHead, nextId: count + 1, size: count } }, rows);
  const store = new MemoryRowStore(disk);
  const database = await store.build({ directoryId: new Uint8Array(16), generation: 1 }, basePath(place, 9));
  let steps = 0;
  let parts = 0;
  await writeOwners(place, 9, database, async (work) => {
    parts++;
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      steps++;
    }
  });
  assert.ok(steps > 500 && parts > 2);
  const atOnce = await store.build({ directoryId: new Uint8Array(16), generation: 2 }, basePath(place, 9));
  writeOwnersNow(place, 9, atOnce);
  const large = new HeldRows(
    () => store.buildNow({ directoryId: new Uint8Array(16), generation: 3 }, basePath(place, 9)),
    8,
  );
  large.load(place, 9, count);
  assert.notEqual(large.database, undefined);
  for (let n = 0; n < 20_000; n++) {
    const bytes = ((n + 1) % 7) + ((n + 20_001) % 7);
    const expected = { logs: 2, bytes };
    for (const one of [database, atOnce]) assert.deepEqual(decodeUsage(one.owner(`owner ${n}`)!), expected);
    assert.deepEqual(large.rows.usageOf(`owner ${n}`), expected);
  }
  assert.equal(database.head.index, 9);
});
