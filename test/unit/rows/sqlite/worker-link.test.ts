/** The worker starts when it is needed, and another one starts after it was lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Worker } from "node:worker_threads";
import { Fault } from "../../../../src/fault.ts";
import { openRowStore, type RowChange } from "../../../../src/rows/mod.ts";
import { scratch } from "../../../support/scratch.ts";
import { longestTurnMs } from "../../../support/time/longest-turn.ts";
import { headOf, put, sampleRow, sampleRows } from "../row-samples.ts";
import { identityOf } from "../row-store-suite.ts";

/** The workers of rows that start until the test ends. */
function workersOf(t: { after(work: () => void): void }): Worker[] {
  const workers: Worker[] = [];
  // A loader of TypeScript has a worker too.
  const note = (worker: Worker): void => {
    if (worker.threadName === "rows") workers.push(worker);
  };
  process.on("worker", note);
  t.after(() => process.off("worker", note));
  return workers;
}

test("reading starts no worker, and one worker does all jobs", async (t) => {
  const directory = scratch(t);
  const workers = workersOf(t);
  const first = openRowStore(directory);
  await (await first.build(identityOf(1), headOf(0, 0))).close();
  await (await first.build(identityOf(2), headOf(0, 0))).close();
  await first.close();
  assert.equal(workers.length, 1);
  const store = openRowStore(directory);
  const rows = store.open(identityOf(1), 0);
  assert.equal(rows.row(1), undefined);
  await rows.close();
  await store.close();
  assert.equal(workers.length, 1);
});

test("a worker that is lost fails its job, and the next write starts another one", async (t) => {
  const workers = workersOf(t);
  const store = openRowStore(scratch(t));
  const rows = await store.build(identityOf(1), headOf(0, 0));
  const all = sampleRows(1, 5000);
  function* losing(): Generator<RowChange, void> {
    for (const row of all) {
      if (row.id === 2500) void workers[0]!.terminate();
      yield put(row);
    }
  }
  await assert.rejects(
    rows.write(losing(), headOf(1, all.length)),
    (reason) => reason instanceof Fault && reason.kind === "disk-busy",
  );
  assert.equal(rows.row(1), undefined);
  await rows.write(all.map(put), headOf(1, all.length));
  assert.deepEqual(rows.row(5000), sampleRow(5000));
  assert.equal(workers.length, 2);
  await rows.close();
  await store.close();
});

test("changes that fail to come change nothing", async (t) => {
  const store = openRowStore(scratch(t));
  const rows = await store.build(identityOf(1), headOf(0, 0));
  function* failing(): Generator<RowChange, void> {
    yield put(sampleRow(1));
    throw new Error("no more");
  }
  await assert.rejects(rows.write(failing(), headOf(1, 1)), /no more/);
  await rows.write([put(sampleRow(2))], headOf(1, 1));
  assert.equal(rows.row(1), undefined);
  await rows.close();
  await store.close();
});

test("many changes are packed in slices of the event loop", async (t) => {
  const store = openRowStore(scratch(t));
  const rows = await store.build(identityOf(1), headOf(0, 0));
  function* many(): Generator<RowChange, void> {
    for (let id = 1; id <= 30_000; id++) yield put(sampleRow(id));
  }
  let turns = 0;
  const count = setInterval(() => turns++, 1);
  const turnMs = await longestTurnMs(() => rows.write(many(), headOf(1, 30_000)));
  clearInterval(count);
  t.diagnostic(`${turnMs} ms of CPU in the longest of many turns`);
  assert.ok(turns > 10, `${turns} turns`);
  await rows.close();
  await store.close();
});
