/** The background work on rows and segments meets an error of the disk at each of its calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { verifyLog } from "../../../../src/log/mod.ts";
import { type DiskOperation, RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { compact, run, simMachine } from "../../../support/log/logs.ts";

const settings = { segmentStoreBytesMax: 900 };

interface Outcome {
  /** The call that failed; undefined if there was none. */
  readonly refused: { readonly operation: DiskOperation; readonly path: string } | undefined;
  readonly failure: unknown;
  readonly isDone: boolean;
}

/** A removal of segments with named logs in which the n-th call of the disk fails once. */
async function removal(code: string, n: number, inMerge = false, hasStore = true): Promise<Outcome> {
  const machine = simMachine(`${code} ${n}`);
  const disk = new RefusingDisk(machine.disk);
  // Without a store, the base is written through this disk.
  const rowStore = hasStore ? machine.rowStore : undefined!;
  const log = await machine.open(settings, { disk, mapper: heapMapper(disk), rowStore });
  const { storedLog } = log;
  for (let k = 0; k < 12; k++) {
    const name = `log ${k}`;
    await log.change({ kind: "create", name, settings: {} });
    await log.append(run(name), { log: { name } });
    await log.append(run(`default ${k}`));
    await log.trim(1, { log: { name } });
    if (k === 6) {
      await log.trim((await log.bounds()).next);
      await log.append(run("again"));
      await storedLog.rows.settled();
      await compact(storedLog);
    }
  }
  await log.trim((await log.bounds()).next);
  await log.append(run("last"));
  await storedLog.rows.settled();
  machine.clock.advance(5); // The receipts are written.
  const before = storedLog.firstIndex;
  let calls = 0;
  if (inMerge) machine.rowStore.failNext = Object.assign(new Error(code), { code });
  else disk.refuse = () => (calls++ === n ? code : undefined);
  const work = async (): Promise<void> => {
    machine.clock.advance(1_000);
    await storedLog.rows.settled();
    machine.clock.advance(60_000);
    await storedLog.rows.settled();
  };
  await work();
  disk.refuse = () => undefined;
  assert.equal(machine.rowStore.failNext, undefined);
  const refusal = inMerge ? storedLog.refusal : undefined;
  const failure = storedLog.failure;
  if (failure === undefined) {
    await log.append(run("goes on"));
    await work();
    await work();
  }
  const isDone = storedLog.firstIndex > before || failure !== undefined;
  const [refused] = disk.refused;
  await log.close().catch(() => undefined);
  return { refused, failure: failure ?? log.failure ?? refusal, isDone };
}

/** Only a failed sync ends the log: it says nothing about other bytes, but the state of the disk is unknown then. */
const endsLog = ({ operation }: NonNullable<Outcome["refused"]>): boolean =>
  operation === "sync" || operation === "sync-directory";

for (const code of ["EMFILE", "ENOSPC", "EIO", "EACCES"]) {
  test(`a removal whose new base cannot be written because of ${code} is done later`, async () => {
    assert.deepEqual(await removal(code, 0, true), { refused: undefined, failure: undefined, isDone: true });
  });

  test(`a removal of segments survives ${code} at each call that is not a sync, and is done later`, async () => {
    for (let n = 0; ; n++) {
      const { refused, failure, isDone } = await removal(code, n);
      if (refused === undefined) {
        assert.ok(n > 20, `only ${n} calls failed`);
        break;
      }
      const at = `${code}, call ${n}: ${refused.operation} ${refused.path}`;
      if (endsLog(refused)) assert.ok(failure instanceof Fault && failure.kind === "disk-failed", at);
      else assert.equal(failure, undefined, at);
      // A base that cannot be read is damage: no segment is removed.
      const isDamage = code === "EIO" && refused.path.endsWith(".rows") && refused.operation !== "remove";
      assert.equal(isDone, !isDamage, at);
      assert.ok(n < 500);
    }
  });
}

test("a new base that is written meets an error at each call, and is written later", async () => {
  const paths = new Set<string>();
  for (let n = 0; ; n++) {
    const { refused, failure, isDone } = await removal("EIO", n, false, false);
    if (refused === undefined) {
      assert.ok(n > 20, `only ${n} calls failed`);
      break;
    }
    const { operation, path } = refused;
    if (path.endsWith(".rows.new") || path.endsWith(".rows")) paths.add(operation);
    const at = `call ${n}: ${operation} ${path}`;
    if (endsLog(refused)) assert.ok(failure instanceof Fault && failure.kind === "disk-failed", at);
    else assert.equal(failure, undefined, at);
    // An old base that cannot be read is damage: no segment is removed, unless it was read after the removal.
    const mayBeDamage = path.endsWith(".rows") && (operation === "open" || operation === "read");
    assert.ok(isDone || mayBeDamage, at);
    assert.ok(n < 500);
  }
  assert.deepEqual([...paths].sort(), ["open", "read", "remove", "rename", "sync", "write"]);
});

/** Checkpoints of rows, of which the n-th write of the database fails. Returns false if there were not so many. */
async function checkpoints(code: string, n: number): Promise<boolean> {
  const machine = simMachine(`checkpoints ${code} ${n}`);
  const { rowStore, clock } = machine;
  const log = await machine.open(settings);
  rowStore.failLater = { left: n, reason: Object.assign(new Error(code), { code }) };
  for (let k = 0; k < 14; k++) {
    const name = `log ${k}`;
    await log.change({ kind: "create", name, settings: {} });
    await log.append(run(name), { log: { name } });
    if (k % 4 === 3) await log.change({ kind: "delete", log: { name: `log ${k - 1}` } });
    await log.storedLog.rows.settled();
  }
  const hasFailed = rowStore.failLater === undefined;
  rowStore.failLater = undefined;
  clock.advance(60_000);
  await log.storedLog.rows.settled();
  assert.equal(log.storedLog.failure, undefined, `${code}, write ${n}`);
  const expected = [...log.storedLog.state.logs.rows()].map(({ name }) => name).sort();
  assert.equal(expected.length, 11);
  // What the database holds is used by the next start.
  const again = await machine.open(settings);
  assert.deepEqual([...again.storedLog.state.logs.rows()].map(({ name }) => name).sort(), expected);
  await again.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  return hasFailed;
}

test("checkpoints of rows survive an error at each write of the database, and are written later", async () => {
  for (const code of ["ENOSPC", "EIO", "EMFILE"]) {
    let n = 0;
    while (await checkpoints(code, n)) n++;
    assert.ok(n >= 4, `only ${n} writes failed`);
  }
});
