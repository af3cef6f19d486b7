/** Zeros behind the last frame: when they are written, that they never remain where they would matter, and every torn end with them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import { groupBytesMax } from "../../../../src/log/frame/frame-group.ts";
import { endOfData, isZeroTail, zerosBehind } from "../../../../src/log/frame/zero-tail.ts";
import { repairLog, verifyLog } from "../../../../src/log/mod.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { FixedSyncPolicy } from "../../../support/log/fixed-sync-policy.ts";
import { allValues, run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

const zerosMax = 600;
const store = `${simDirectory}/log/00000000000000000001.store`;
const storeBytes = ({ disk }: SimMachine): number => disk.contents(store).length;
const values = (count: number): string[] => Array.from({ length: count }, (_, n) => `value ${n}`);

describe("how many zeros are written behind a group", () => {
  const growth = { position: 1000, bytes: 200, fileBytes: 1000, segmentBytesMax: 1 << 26, zerosMax: 1 << 18 };
  const cases = [
    ["at least 64 KiB", {}, 65_536],
    ["those of 16 groups", { bytes: 10_000 }, 160_000],
    ["at most the limit", { bytes: 60_000 }, 262_144],
    ["none behind a large group", { bytes: 65_537 }, 0],
    ["none if the file is large enough", { fileBytes: 1200 }, 0],
    ["not more than the segment holds", { segmentBytesMax: 1300 }, 100],
    ["none in a full segment", { segmentBytesMax: 1100 }, 0],
    ["none if they are off", { zerosMax: 0 }, 0],
  ] as const;
  for (const [name, change, expected] of cases) {
    test(name, () => assert.equal(zerosBehind({ ...growth, ...change }), expected));
  }
});

test("the end of the data is found behind zeros of any length", () => {
  const fileOf = (bytes: Uint8Array) => ({
    read: (target: Uint8Array, position: number): number => {
      const part = bytes.subarray(position, position + target.length);
      target.set(part);
      return part.length;
    },
  });
  for (const zeros of [0, 1, 511, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20]) {
    const bytes = new Uint8Array(10 + zeros);
    bytes[9] = 1;
    for (const from of [0, 9, 10]) assert.equal(endOfData(fileOf(bytes), from, bytes.length), 10);
  }
  const long = new Uint8Array(groupBytesMax + 1);
  assert.equal(isZeroTail(fileOf(long), 1, long.length), true);
  assert.equal(isZeroTail(fileOf(long), 0, long.length), false);
});

for (const inline of [true, false]) {
  const name = inline ? "on the event loop" : "in the thread pool";
  const options = { zerosMax, syncPolicy: new FixedSyncPolicy(inline) };

  test(`groups that are written ${name} overwrite the zeros, and after a kill and a close the file ends with its frames`, async () => {
    const machine = simMachine("zeros");
    const log = await machine.open({}, options);
    const sizes = new Set<number>();
    for (const value of values(20)) {
      await log.append(run(value));
      sizes.add(storeBytes(machine));
      assert.ok(storeBytes(machine) <= (await log.describe()).bytes + zerosMax);
    }
    assert.ok(sizes.size > 1 && sizes.size < 10, `${sizes.size} sizes`);
    const { bytes } = await log.describe();
    assert.ok(storeBytes(machine) > bytes);
    machine.disk.kill();
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    assert.deepEqual(repairLog(directoryOf(machine), false).actions, []);
    const again = await machine.open({}, options);
    assert.equal(again.storedLog.recovery.cut, undefined);
    assert.deepEqual(await allValues(again), values(20));
    await again.append(run("value 20"));
    const { bytes: end } = await again.describe();
    await again.close();
    assert.equal(storeBytes(machine), end);
    assert.deepEqual(await allValues(await machine.open({}, options)), values(21));
  });

  test(`a disk without space for the zeros of a group that is written ${name} takes the group`, async () => {
    const machine = simMachine("no space");
    const log = await machine.open({}, { ...options, zerosMax: 5000 });
    await log.append(run("value 0"));
    machine.disk.capacityBytes = usedBytes(machine) + 2000;
    const large = "x".repeat(6000);
    await log.append(run(large));
    await log.append(run("value 1"));
    assert.equal(log.replica.diskRefusal, undefined);
    machine.disk.odds = { keep: 0, tear: 0 };
    machine.disk.crash();
    machine.disk.capacityBytes = Number.POSITIVE_INFINITY;
    assert.deepEqual(await allValues(await machine.open()), ["value 0", large, "value 1"]);
  });
}

const usedBytes = ({ disk }: SimMachine): number => {
  let used = 0;
  for (const bytes of disk.image().files.values()) used += bytes.length;
  return used;
};

test("a sealed store has no zeros", async () => {
  const machine = simMachine("sealed");
  const log = await machine.open({ segmentStoreBytesMax: 1000 }, { zerosMax });
  for (const value of values(40)) await log.append(run(value));
  const { segments } = await log.describe();
  assert.ok(segments.length > 3);
  for (const { bytes, sealed } of segments.slice(0, 1)) {
    assert.ok(sealed);
    assert.equal(storeBytes(machine), bytes);
  }
  machine.disk.kill();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
  assert.deepEqual(
    await allValues(await machine.open({ segmentStoreBytesMax: 1000 }, { zerosMax })),
    values(40),
  );
});

/** A log with three synced records and zeros behind them, killed; and the group of a fourth to sixth record. */
async function crashed(): Promise<{ machine: SimMachine; bytes: number; group: Uint8Array; ends: number[] }> {
  const machine = simMachine(1);
  const log = await machine.open({}, { zerosMax: 5000 });
  for (const value of ["a", "b", "c"]) await log.append(run(value));
  machine.clock.advance(5);
  const { bytes } = await log.describe();
  const builder = new GroupBuilder(1000);
  for (const value of ["d", "e", "f"]) builder.add(run(value), undefined, true);
  const { group } = sealGroup(builder, log.storedLog.end, 1, machine.clock.nowMs);
  machine.disk.kill();
  return { machine, bytes, group: group.bytes, ends: [...group.positions] };
}

test("a group of which any part reached the disk over the zeros is kept up to its last whole frame", async () => {
  const { group, ends } = await crashed();
  for (let cut = 0; cut <= group.length; cut++) {
    for (const [from, to] of [
      [0, cut],
      [cut, group.length],
    ] as const) {
      const { machine, bytes } = await crashed();
      const file = machine.disk.open(store, "write");
      file.write(group.subarray(from, to), bytes + from);
      file.sync();
      const found = storeBytes(machine);
      const log = await machine.open({}, { zerosMax: 5000 });
      const part = new Uint8Array(group.length);
      part.set(group.subarray(from, to), from);
      const whole = ends
        .slice(1)
        .filter((end) => Buffer.compare(part.subarray(0, end), group.subarray(0, end)) === 0);
      const kept = ["a", "b", "c", "d", "e", "f"].slice(0, 3 + whole.length);
      assert.deepEqual(await allValues(log), kept, `${from} ${to}`);
      const rest = part.subarray(whole.at(-1) ?? 0);
      const hasData = rest.some((byte) => byte !== 0);
      assert.equal(log.storedLog.recovery.cut !== undefined, hasData, `${from} ${to}`);
      assert.equal((await log.append(run("next"))).firstOffset, kept.length);
      assert.ok(found > bytes + group.length);
      machine.disk.kill();
    }
  }
});

test("zeros in the place of a frame that has a receipt are corruption", async () => {
  const { machine, bytes } = await crashed();
  const file = machine.disk.open(store, "write");
  file.write(new Uint8Array(40), bytes - 40);
  await assert.rejects(machine.open(), /damaged|corrupt/i);
  assert.ok(verifyLog(directoryOf(machine)).findings.length > 0);
});

test("more zeros than a write group are corruption", async () => {
  const { machine, bytes } = await crashed();
  machine.disk.open(store, "write").preallocate(bytes + groupBytesMax + 1);
  await assert.rejects(machine.open(), /damaged|corrupt/i);
  assert.ok(verifyLog(directoryOf(machine)).findings.length > 0);
  assert.ok(repairLog(directoryOf(machine), true).actions.length > 0);
  assert.deepEqual(await allValues(await machine.open()), ["a", "b", "c"]);
});
