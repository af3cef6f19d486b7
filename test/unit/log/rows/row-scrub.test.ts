/** The scrub of the database of rows runs in the background. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { RowScrub } from "../../../../src/log/rows/row-scrub.ts";
import { CommittedRows } from "../../../../src/log/state/committed-rows.ts";
import type { RowDatabase } from "../../../../src/rows/mod.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

/** A database whose scrub returns these in turn, or throws. It notes from where it was called. */
function databaseWith(results: (number | undefined | Fault)[]): { database: RowDatabase; from: number[] } {
  const from: number[] = [];
  const scrub = async (afterId: number): Promise<number | undefined> => {
    from.push(afterId);
    const result = results.shift();
    if (result instanceof Fault) throw result;
    return result;
  };
  return { database: { scrub } as Partial<RowDatabase> as RowDatabase, from };
}

/** Lets time pass, and the promises of each step settle. */
async function run(time: VirtualTime, forMs: number): Promise<void> {
  let isOver = false;
  time.after(forMs, () => {
    isOver = true;
  });
  while (!isOver) {
    time.step();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a pass goes on where the last piece ended, and the next one begins a day later", async () => {
  const time = new VirtualTime();
  const clock = time.clock();
  const { database, from } = databaseWith([1000, 2000, undefined, undefined]);
  const scrub = new RowScrub({ clock, logger: undefined, rows: () => new CommittedRows(database) });
  await run(time, 59_000);
  assert.deepEqual(from, []);
  await run(time, 10_000);
  assert.deepEqual(from, [-1, 1000, 2000]);
  await run(time, 24 * 3_600_000);
  assert.deepEqual(from, [-1, 1000, 2000, -1]);
  scrub.close();
  await run(time, 48 * 3_600_000);
  assert.equal(from.length, 4);
});

test("damage is reported, another database is checked from its first row", async () => {
  const time = new VirtualTime();
  const clock = time.clock();
  const damaged = databaseWith([1000, new Fault("corrupt")]);
  const other = databaseWith([500, undefined]);
  let rows = new CommittedRows(other.database);
  const scrub = new RowScrub({ clock, logger: undefined, rows: () => rows });
  await run(time, 60_000);
  assert.deepEqual(other.from, [-1]);
  rows = new CommittedRows(damaged.database);
  let found = 0;
  rows.onDamage = () => found++;
  await run(time, 5000);
  assert.deepEqual(damaged.from, [-1, 1000]);
  assert.equal(found, 1);
  scrub.close();
});
