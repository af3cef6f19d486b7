import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { repairLog, verifyLog } from "../../../../src/log/mod.ts";
import type { StableStore } from "../../../../src/store/stable-store.ts";
import { closedLog, corrupt, directoryOf, settings } from "../../../support/log/closed-log.ts";
import { allValues, run, simDirectory } from "../../../support/log/logs.ts";

test("repair removes saved damage from the catalog", async () => {
  const { machine, files } = await closedLog();
  machine.disk.flipBit(files[3]!, 8 * (machine.disk.contents(files[3]!).length - 3));
  const log = await machine.open(settings, { checkBytesMax: 0 });
  await assert.rejects(allValues(log), corrupt);
  await log.close();
  assert.ok(repairLog(directoryOf(machine), true).lost > 0);
  await (await machine.open(settings)).close();
});

test("repair reports what it would cut and changes nothing; with yes it cuts and keeps the bytes", async () => {
  const { machine, values, files } = await closedLog();
  const damaged = files[3]!;
  const { length } = machine.disk.contents(damaged);
  machine.disk.flipBit(damaged, 8 * (length - 3));
  const before = files.map((file) => machine.disk.contents(file));
  const plan = repairLog(directoryOf(machine), false);
  assert.deepEqual(
    files.map((file) => machine.disk.contents(file)),
    before,
  );
  assert.deepEqual(
    plan.actions.map(({ action }) => action),
    ["cut", "set-aside", "build-index", "forget-commit"],
  );
  assert.equal(plan.next + plan.lost, 15);
  const done = repairLog(directoryOf(machine), true);
  assert.deepEqual(done, plan);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  assert.deepEqual(repairLog(directoryOf(machine), true).actions, []);
  const log = await machine.open(settings);
  assert.equal((await log.bounds()).next, plan.next);
  assert.deepEqual(await allValues(log), values.slice(0, plan.next));
  assert.equal((await log.append(run("on it goes"))).firstOffset, plan.next);
  await log.close();
  const kept = machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".cut"));
  assert.equal(kept.length, 2);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
});

test("repair counts the last record as lost if its frame is damaged", async () => {
  for (const harm of ["short", "flipped"] as const) {
    const { machine, files } = await closedLog();
    const last = files[5]!;
    const { length } = machine.disk.contents(last);
    if (harm === "flipped") machine.disk.flipBit(last, 8 * (length - 3));
    else {
      const store = machine.disk.open(last, "write");
      store.truncate(length - 3);
      store.close();
    }
    const { next, lost } = repairLog(directoryOf(machine), true);
    assert.deepEqual([next, lost], [14, 1], harm);
  }
});

test("repair cuts only the bytes after the end of a sealed store", async () => {
  const { machine, values, files } = await closedLog();
  const store = machine.disk.open(files[1]!, "write");
  store.write(new Uint8Array(3).fill(7), store.size());
  store.close();
  assert.ok(verifyLog(directoryOf(machine)).findings.length > 0);
  const { actions, lost } = repairLog(directoryOf(machine), true);
  assert.deepEqual([actions.length, actions[0]?.action, actions[0]?.bytes, lost], [1, "cut", 3, 0]);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  const log = await machine.open(settings);
  assert.deepEqual(await allValues(log), values);
  await log.close();
});

test("repair rebuilds a lost catalog from the segments, with the producers", async () => {
  const { machine, values } = await closedLog();
  for (const key of machine.store.keys("log/")) machine.store.write({ [key]: undefined });
  await assert.rejects(
    machine.open(settings),
    (reason) => reason instanceof Fault && reason.kind === "corrupt",
  );
  assert.ok(verifyLog(directoryOf(machine)).findings.some(({ kind }) => kind === "no-catalog"));
  assert.equal(repairLog(directoryOf(machine), true).next, 15);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  const log = await machine.open(settings);
  assert.deepEqual(await allValues(log), values);
  const again = await log.append(run("value 12"), {
    producer: { subject: "s", id: 1n, epoch: 0, sequence: 4 },
  });
  assert.deepEqual([again.firstOffset, again.duplicate], [12, true]);
  await log.close();
});

test("a catalog with the value of another segment, or without the directory's id, is refused and rebuilt", async () => {
  for (const damage of ["moved", "no id"]) {
    const { machine, values } = await closedLog();
    const [key, other] = machine.store.keys("log/segment/");
    machine.store.write(
      damage === "moved" ? { [key!]: machine.store.get(other!) } : { "log/directory": undefined },
    );
    await assert.rejects(machine.open(settings), (reason) => {
      assert.ok(reason instanceof Fault);
      assert.equal(reason.kind, "corrupt");
      if (damage === "no id") assert.match(reason.message, /tailrace repair /);
      return true;
    });
    const { findings } = verifyLog(directoryOf(machine));
    assert.ok(findings.some(({ file, kind }) => file === "meta" && kind === "catalog"));
    assert.equal(repairLog(directoryOf(machine), true).lost, 0);
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    const log = await machine.open(settings);
    assert.deepEqual(await allValues(log), values);
    await log.close();
  }
});

test("a damaged value of another module is found by verify, and repair removes it", async () => {
  const { machine } = await closedLog();
  machine.store.write({ "cluster-id": "c" });
  const { store } = machine;
  const damaged: StableStore = {
    get(key) {
      if (key === "cluster-id") throw new Fault("corrupt");
      return store.get(key);
    },
    whole: true,
    keys: (prefix) => store.keys(prefix),
    write: (changes) => store.write(changes),
    close: () => store.close(),
  };
  const place = { ...directoryOf(machine), store: damaged };
  assert.deepEqual(verifyLog(place).findings, [{ file: "meta", position: 0, kind: "cluster-id" }]);
  const { actions, lost } = repairLog(place, true);
  assert.deepEqual(actions, [{ action: "forget-value", file: "meta/cluster-id", position: 0, bytes: 0 }]);
  assert.equal(lost, 0);
  assert.equal(store.get("cluster-id"), undefined);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
});

test("a catalog that lost a key is found; repair accepts the rest and finds a lost segment again", async () => {
  for (const key of ["cluster-id", "log/segment/00000000000000000001", "log/commit"]) {
    const { machine, values } = await closedLog();
    machine.store.write({ "cluster-id": "c" });
    machine.store.loseKey(key, `${key.slice(0, -1)}~`);
    assert.ok(
      verifyLog(directoryOf(machine)).findings.some(({ file, kind }) => file === "meta" && kind === "keys"),
    );
    const { actions, lost } = repairLog(directoryOf(machine), true);
    assert.ok(actions.some(({ action }) => action === "accept-keys"));
    assert.equal(lost, 0);
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, [], key);
    const log = await machine.open(settings);
    assert.deepEqual(await allValues(log), values);
    await log.close();
  }
});

test("repair of the last segment reports how many records are lost", async () => {
  const { machine, files } = await closedLog();
  machine.disk.flipBit(files[5]!, 8 * 40);
  const { next, lost } = repairLog(directoryOf(machine), true);
  assert.equal(next + lost, 15);
  assert.ok(lost > 1);
});

test("repair accepts a log that ends before its commit index", async () => {
  const { machine, files } = await closedLog();
  machine.disk.open(files[5]!, "write").truncate(0);
  machine.disk.open(files[4]!, "write").truncate(64);
  await assert.rejects(machine.open(settings), corrupt);
  assert.ok(repairLog(directoryOf(machine), true).actions.some(({ action }) => action === "forget-commit"));
  const log = await machine.open(settings);
  assert.ok((await log.bounds()).next < 15);
  await log.close();
});
