import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { allValues, compact, run, simMachine, valueAt } from "../../../support/log/logs.ts";

/** A log whose records before `keep` are all dead, with one segment for each few batches. */
async function opened() {
  const machine = simMachine(3);
  const settings = { segmentStoreBytesMax: 300 };
  const log = await machine.open(settings, { frameCacheBytesMax: 0 });
  await log.change({ kind: "create", name: "a", settings: {} });
  await log.change({ kind: "create", name: "b", settings: {} });
  return {
    machine,
    log,
    a: log.replica.log.named.open({ name: "a" }),
    b: log.replica.log.named.open({ name: "b" }),
  };
}

test("a segment stays while a log reads a part of its last batch there", async () => {
  const { log, a } = await opened();
  for (let n = 0; n < 6; n++) await a.append(run(`${n}`, `${n} more`, "x".repeat(150)));
  for (let lowest = 1; lowest < 18; lowest++) {
    await log.trim(lowest, { log: { name: "a" } });
    await compact(log.storedLog);
    assert.equal((await a.bounds()).lowest, lowest);
    assert.equal((await allValues(a)).length, 18 - lowest, `lowest ${lowest}`);
    await valueAt(a, lowest);
  }
  assert.ok(log.storedLog.firstIndex > 6, "dead segments were removed");
});

test("a log that is seldom written keeps its segment; its delete lets it go", async () => {
  const { log, a, b } = await opened();
  await b.append(run("seldom"));
  for (let n = 0; n < 20; n++) await a.append(run(`${n} ${"x".repeat(100)}`));
  await log.trim(20, { log: { name: "a" } });
  await compact(log.storedLog);
  const first = log.storedLog.firstIndex;
  assert.ok(first < 10);
  assert.deepEqual(await allValues(b), ["seldom"]);
  await log.change({ kind: "delete", log: { name: "b" } });
  assert.ok((await compact(log.storedLog)) > 5);
  await assert.rejects(b.read(0), (fault) => fault instanceof Fault && fault.kind === "not-found");
});

test("a log index is rebuilt after the segments before it were removed", async () => {
  const { machine, log, a } = await opened();
  for (let n = 0; n < 12; n++) await a.append(run(`${n} ${"x".repeat(100)}`));
  await log.close();
  const again = await machine.open({ segmentStoreBytesMax: 300 }, { frameCacheBytesMax: 0 });
  const named = again.replica.log.named.open({ name: "a" });
  await again.trim(6, { log: { name: "a" } });
  assert.ok((await compact(again.storedLog)) > 1);
  for (const name of machine.disk.list("/data/log")) {
    if (name.endsWith(".logs")) machine.disk.flipBit(`/data/log/${name}`, 400);
  }
  assert.equal((await allValues(named)).length, 6);
  assert.equal(await valueAt(named, 6), `6 ${"x".repeat(100)}`);
  assert.equal(again.storedLog.damage, undefined);
});
