import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { entryBytes } from "../../../../src/log/index/offset-index.ts";
import { run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";

const settings = { segmentStoreBytesMax: 700 };

async function filled(records: number): Promise<{ machine: SimMachine; stores: string[] }> {
  const machine = simMachine(1);
  const log = await machine.open(settings);
  for (let n = 0; n < records; n++) await log.append(run(`value ${n}`));
  await log.close();
  const names = machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".store"));
  return { machine, stores: names.map((name) => `${simDirectory}/log/${name}`) };
}

test("opening checks sealed segments from the newest back, up to its budget", async () => {
  const { machine, stores } = await filled(60);
  const probe = await machine.open(settings);
  const { sealed } = probe.storedLog;
  const sizes = sealed.map(({ bytes, seal }) => bytes + entryBytes * seal.entries);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(sizes.length > 5);
  assert.deepEqual(
    [probe.storedLog.recovery.checkedBytes, probe.storedLog.recovery.joinedSegments],
    [all, stores.length - 1],
  );
  await probe.close();
  const two = sizes.at(-1)! + sizes.at(-2)!;
  const budget = await machine.open(settings, { checkBytesMax: two });
  assert.equal(budget.storedLog.recovery.checkedBytes, two);
  await budget.close();
  // The last bit of the second newest is found, that of the third newest is not.
  const flip = (ordinal: number): void => {
    const path = stores.at(-2 - ordinal)!;
    machine.disk.flipBit(path, 8 * machine.disk.contents(path).length - 1);
  };
  flip(1);
  await assert.rejects(machine.open(settings, { checkBytesMax: two }), /damaged at byte/);
  flip(1);
  flip(2);
  const missed = await machine.open(settings, { checkBytesMax: two });
  assert.equal(missed.storedLog.damage, undefined);
  await missed.close();
});

test("opening a log of hundreds of segments checks no more of them than 64", async () => {
  for (const records of [900, 1800]) {
    const { machine, stores } = await filled(records);
    assert.ok(stores.length > 100);
    const log = await machine.open(settings, { checkBytesMax: 2000 });
    const { joinedSegments, checkedBytes } = log.storedLog.recovery;
    assert.equal(joinedSegments, 64);
    assert.ok(checkedBytes <= 2000);
    await log.close();
  }
});

for (const [name, why, harm] of [
  ["is missing", "missing", (machine: SimMachine, path: string) => machine.disk.remove(path)],
  [
    "has lost its end",
    "length",
    (machine: SimMachine, path: string) => machine.disk.open(path, "write").truncate(100),
  ],
  [
    "has grown",
    "length",
    (machine: SimMachine, path: string) => {
      const store = machine.disk.open(path, "write");
      store.write(Uint8Array.of(0), store.size());
    },
  ],
  [
    "is another segment's",
    "chain",
    (machine: SimMachine, path: string) => {
      const store = machine.disk.open(path, "write");
      const bytes = machine.disk.contents(path);
      bytes[16] = 77; // the first frame's index
      store.write(bytes, 0);
    },
  ],
] as const) {
  test(`a sealed store that ${name} refuses the start without a check of its bytes`, async () => {
    const { machine, stores } = await filled(30);
    const path = stores[1]!;
    harm(machine, path);
    await assert.rejects(machine.open(settings, { checkBytesMax: 0 }), (reason) => {
      assert.ok(reason instanceof Fault && reason.kind === "corrupt");
      assert.equal(reason.facts["file"], path);
      assert.equal(reason.facts["why"], why);
      assert.match(reason.message, /tailrace repair \/data$/);
      return true;
    });
  });
}

test("an error of the disk while a log is opened is a fault with its meaning", async () => {
  const { machine } = await filled(30);
  machine.disk.faults.readFails = 1;
  await assert.rejects(machine.open(settings), (reason) => {
    assert.ok(reason instanceof Fault && reason.kind === "disk-failed", String(reason));
    assert.match(reason.message, /^the log in \/data cannot be opened, EIO/);
    return true;
  });
  const log = await machine.open(settings);
  assert.equal((await log.bounds()).next, 30);
  await log.close();
});
