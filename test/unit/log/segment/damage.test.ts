import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { verifyLog } from "../../../../src/log/mod.ts";
import {
  closedLog,
  corrupt,
  directoryOf,
  faultsServed,
  firstRecordAt,
  settings,
} from "../../../support/log/closed-log.ts";
import {
  allValues,
  run,
  type SimMachine,
  simDirectory,
  simMachine,
  valueAt,
} from "../../../support/log/logs.ts";

test("any single flipped bit is found by verify, refuses the start, and is never served", async () => {
  const { machine, values, files } = await closedLog();
  for (const file of files) {
    const bits = machine.disk.contents(file).length * 8;
    const isStore = file.endsWith(".store");
    for (let bit = 0; bit < bits; bit++) {
      // Every bit is verified. One bit in 97 is also opened and read, which takes longer.
      machine.disk.flipBit(file, bit);
      const { findings } = verifyLog(directoryOf(machine));
      const name = file.slice(file.lastIndexOf("/") + 1);
      assert.ok(
        findings.some((finding) => finding.file === name),
        `${name} bit ${bit} is not found`,
      );
      machine.disk.flipBit(file, bit);
      if (bit % 97 !== 0) continue;
      const before = machine.disk.contents(file);
      machine.disk.flipBit(file, bit);
      if (!isStore) {
        // A damaged index is rebuilt.
        assert.deepEqual(await faultsServed(machine, values), []);
        machine.openStored().close();
        assert.deepEqual(machine.disk.contents(file), before);
        assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
        continue;
      }
      const all = (): Uint8Array[] => files.map((each) => machine.disk.contents(each));
      const damaged = all();
      await assert.rejects(machine.open(settings), (reason) => {
        assert.ok(reason instanceof Fault && reason.kind === "corrupt", String(reason));
        const { facts } = reason;
        assert.equal(facts["file"], file);
        assert.ok(Number(facts["position"]) <= bit >> 3);
        assert.equal(facts["repair"], `tailrace repair ${simDirectory}`);
        return true;
      });
      assert.deepEqual(all(), damaged, "a refused start changed something");
      // If opening does not check sealed segments, the reader finds it. The first two frames are a no-op and settings,
      // which no reader gets.
      const faults = await faultsServed(machine, values, { checkBytesMax: 0 });
      if (file !== files[1] || bit >> 3 >= firstRecordAt(before)) assert.ok(faults.length > 0, `${bit}`);
      for (const { facts } of faults) assert.match(String(facts["file"]), /\d{20}\.store$/);
      machine.disk.flipBit(file, bit);
    }
  }
});

test("damage that a reader finds is saved: the next start is refused until the right bytes are restored", async () => {
  const { machine, values, files } = await closedLog();
  const store = files[3]!;
  const bit = 8 * (machine.disk.contents(store).length - 3);
  machine.disk.flipBit(store, bit);
  const unchecked = { checkBytesMax: 0 };
  const log = await machine.open(settings, unchecked);
  assert.equal(log.storedLog.damagedSegments, 0);
  const last = log.storedLog.sealed[1]!.nextOffset - 1;
  await assert.rejects(log.read(last), corrupt);
  const { facts } = log.storedLog.damage as Fault;
  assert.deepEqual(
    [facts["file"], facts["why"], facts["repair"]],
    [store.slice(store.lastIndexOf("/") + 1), "checksum", `tailrace repair ${simDirectory}`],
  );
  assert.equal(log.storedLog.damagedSegments, 1);
  assert.equal((await log.append(run("more"))).firstOffset, 15);
  await log.close();
  await assert.rejects(machine.open(settings, unchecked), corrupt);
  machine.disk.flipBit(store, bit);
  for (let time = 0; time < 2; time++) {
    const again = await machine.open(settings, unchecked);
    assert.deepEqual(await allValues(again), [...values, "more"]);
    assert.equal(again.storedLog.damage, undefined);
    await again.close();
  }
});

test("a sealed store that is removed or cut under a running log is damage, and the rest is served", async () => {
  for (const harm of ["removed", "emptied"]) {
    const machine = simMachine(1);
    const log = await machine.open({ segmentStoreBytesMax: 700 });
    for (let n = 0; n < 15; n++) await log.append(run(`value ${n}`));
    await log.close();
    const again = await machine.open({ segmentStoreBytesMax: 700 }, { checkBytesMax: 0 });
    const [first] = machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".store"));
    const path = `${simDirectory}/log/${first}`;
    if (harm === "removed") machine.disk.remove(path);
    else machine.disk.open(path, "write").truncate(0);
    await assert.rejects(valueAt(again, 0), (reason) => {
      assert.ok(corrupt(reason), `${harm}: ${String(reason)}`);
      assert.equal((reason as Fault).facts["why"], harm === "removed" ? "missing" : "length");
      return true;
    });
    assert.equal(await valueAt(again, 14), "value 14");
    await again.close();
  }
});

for (const [name, harm] of Object.entries({
  missing: (machine: SimMachine, path: string) => machine.disk.remove(path),
  empty: (machine: SimMachine, path: string) => machine.disk.open(path, "write").truncate(0),
  short: (machine: SimMachine, path: string) => machine.disk.open(path, "write").truncate(70),
  scrambled: (machine: SimMachine, path: string) =>
    machine.disk.open(path, "write").write(new Uint8Array(200).fill(0xa5), 0),
})) {
  test(`an index that is ${name} is found by verify, and rebuilt for sealed and active segments`, async () => {
    const { machine, values, files } = await closedLog();
    for (const path of files.filter((file) => file.endsWith(".index"))) {
      const before = machine.disk.contents(path);
      harm(machine, path);
      assert.ok(verifyLog(directoryOf(machine)).findings.length > 0 || path === files[4]);
      assert.deepEqual(await faultsServed(machine, values), []);
      machine.openStored().close();
      assert.deepEqual(machine.disk.contents(path), before);
    }
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  });
}
