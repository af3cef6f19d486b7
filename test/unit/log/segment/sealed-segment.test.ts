/** A log index that is missing: it is rebuilt in turns of the event loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readWhole } from "../../../../src/lib/disk/disk.ts";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { LogsTail, verifyLog } from "../../../../src/log/mod.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { run, type SimMachine, simDirectory, simMachine, valuesOf } from "../../../support/log/logs.ts";

const settings = { segmentStoreBytesMax: 300_000 };
const log = { name: "one" };

/** A log of several segments without their log indexes. */
async function withoutIndexes(seed: string): Promise<SimMachine> {
  const machine = simMachine(seed);
  const node = await machine.open(settings);
  await node.change({ kind: "create", ...log, settings: {} });
  for (let k = 0; k < 90; k++) await node.append(run(`${k} ${"x".repeat(10_000)}`), { log });
  await node.close();
  const names = machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".logs"));
  assert.ok(names.length >= 2);
  for (const name of names) machine.disk.remove(`${simDirectory}/log/${name}`);
  return machine;
}

/** Opens the log with turns that the test runs, and counts the reads of stores. */
function openInTurns(machine: SimMachine) {
  const disk = new RefusingDisk(machine.disk);
  const turns: (() => void)[] = [];
  let reads = 0;
  machine.clock.soon = (callback) => void turns.push(callback);
  const opened = machine.openStored({
    disk,
    mapper: heapMapper(disk),
    frameCacheBytesMax: 0,
    checkBytesMax: 0,
  });
  opened.commitTo(opened.durableIndex);
  disk.refuse = (operation, path) => {
    if (operation === "read" && path.endsWith(".store")) reads++;
    return undefined;
  };
  return {
    opened,
    /** Runs all turns. Returns how many there were, and the most reads of one. */
    turn: (): { readonly count: number; readonly most: number } => {
      let [count, most] = [0, 0];
      for (let next = turns.shift(); next !== undefined; next = turns.shift()) {
        reads = 0;
        next();
        count++;
        most = Math.max(most, reads);
      }
      return { count, most };
    },
    reads: (): number => reads,
  };
}

test("a read that needs a log index that is missing rebuilds it in turns, and then reads", async () => {
  const machine = await withoutIndexes("rebuilt by a read");
  const { opened, turn, reads } = openInTurns(machine);
  const view = opened.view(1);
  const preparation = view.prepare(0);
  assert.ok(preparation !== undefined, "it takes turns");
  assert.ok(reads() <= 64, `${reads()} reads at once`);
  const { count, most } = turn();
  assert.ok(count >= 2, `${count} turns`);
  assert.ok(most <= 160, `${most} reads in a turn`);
  await preparation.over;
  assert.match(valuesOf(view.read(0), 0)[0]!, /^0 x/);
  opened.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
});

test("a tail of several logs that needs a log index that is missing rebuilds it in turns, and then shows the records", async () => {
  const machine = await withoutIndexes("rebuilt by a tail");
  for (const logs of [
    { named: [{ ...log, id: 1 }], deleted: [] },
    { prefix: "o", may: () => true, asksMax: 256 },
  ]) {
    const { opened, reads } = openInTurns(machine);
    // In the last segment: its log index links to those of the segments before.
    const from = { index: opened.sealed.at(-1)!.first, sent: 0 };
    using tail = new LogsTail({ log: opened.committed, logs, from, cutOff: () => undefined });
    const shown: string[] = [];
    let [most, later] = [0, 0];
    for (let before = reads(); ; before = reads()) {
      const found = tail.take();
      most = Math.max(most, reads() - before);
      if (found === undefined) break;
      if (found === "later") later++;
      else if (!("deleted" in found)) shown.push(...valuesOf(found.slice, found.from));
    }
    assert.deepEqual(shown.at(-1), `89 ${"x".repeat(10_000)}`);
    assert.ok(shown.length > 20);
    assert.ok(later >= 2, `${later} takes`);
    assert.ok(most <= 70, `${most} reads at once`);
    opened.close();
    for (const name of machine.disk.list(`${simDirectory}/log`))
      if (name.endsWith(".logs")) machine.disk.remove(`${simDirectory}/log/${name}`);
  }
});

test("a read in one turn finishes what was begun in turns", async () => {
  const machine = await withoutIndexes("finished at once");
  const { opened } = openInTurns(machine);
  const view = opened.view(1);
  assert.ok(view.prepare(0) !== undefined);
  assert.match(valuesOf(view.read(0), 0)[0]!, /^0 x/);
  opened.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
});

test("a log index that is damaged where a log is in it is rebuilt for a read of that log, and no other read notices", async () => {
  const machine = simMachine("damaged page");
  const node = await machine.open(settings);
  const names = Array.from({ length: 400 }, (_, k) => `log-${String(k).padStart(3, "0")}`);
  for (const name of names) await node.change({ kind: "create", name, settings: {} });
  for (const name of [...names, ...names])
    await node.append(run(`${name} ${"x".repeat(500)}`), { log: { name } });
  await node.close();
  const [file] = machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".logs"));
  const path = `${simDirectory}/log/${file}`;
  const bytes = readWhole(machine.disk, path).length;
  // In the last page: of the logs with the highest ids.
  machine.disk.flipBit(path, 8 * (bytes - 10));
  const { opened, turn, reads } = openInTurns(machine);
  const segment = opened.sealed.find((one) => one.path === path.replace(/logs$/, "store"))!;
  const ids = [...segment.logIds()];
  const [lowest, highest] = [ids[0]!, ids.at(-1)!];
  assert.ok(segment.prepareLogs(0, lowest));
  const before = segment.batchesOf(lowest)!;
  const place = { ordinal: before.ordinal(0), extent: before.extent!(0) };
  assert.equal(reads(), 0);
  assert.ok(!segment.prepareLogs(0, highest), "it takes steps");
  assert.ok(!segment.prepareLogs(0), "nor is the whole index sound");
  assert.deepEqual({ ordinal: before.ordinal(0), extent: before.extent!(0) }, place);
  assert.equal(reads(), 0, "a read that goes on does not rebuild it in one turn");
  while (!segment.prepareLogs(8, highest)) assert.ok(reads() < 1_000);
  assert.ok(reads() > 8, `${reads()} reads of the store`);
  assert.ok(segment.prepareLogs(0));
  assert.ok(segment.batchesOf(highest)!.length >= 1);
  assert.deepEqual({ ordinal: before.ordinal(0), extent: before.extent!(0) }, place);
  turn();
  opened.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
});
