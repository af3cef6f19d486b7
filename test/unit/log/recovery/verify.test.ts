import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { NotRegularFile, type OpenMode } from "../../../../src/lib/disk/disk.ts";
import { repairLog, verifyLog } from "../../../../src/log/mod.ts";
import { closedLog, directoryOf } from "../../../support/log/closed-log.ts";
import { simDirectory, simMachine } from "../../../support/log/logs.ts";

test("verify reports the extent of a log that was closed, and no findings", async () => {
  const { machine } = await closedLog();
  const { findings, torn, records, lowest, next, bytes } = verifyLog(directoryOf(machine));
  assert.deepEqual(findings, []);
  assert.equal(torn, undefined);
  assert.deepEqual([records, lowest, next], [15, 0, 15]);
  assert.ok(bytes > 1400);
});

test("a segment without its checkpoint is found and repaired", async () => {
  const { machine } = await closedLog();
  const [key] = machine.store.keys("log/checkpoint/");
  machine.store.write({ [key!]: undefined });
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, [
    { file: "meta", position: 0, kind: "checkpoint" },
  ]);
  assert.equal(repairLog(directoryOf(machine), true).lost, 0);
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
});

test("damage is reported for the damaged store only", async () => {
  const { machine, files } = await closedLog();
  const [, first, , second] = files;
  machine.disk.flipBit(first!, 8 * (machine.disk.contents(first!).length - 3));
  machine.disk.open(second!, "write").truncate(0);
  const names = verifyLog(directoryOf(machine)).findings.map(({ file }) => `${simDirectory}/log/${file}`);
  assert.deepEqual(
    names.filter((name) => name.endsWith(".store")),
    [first, second],
  );
});

test("verify of a directory without a log is not-found", () => {
  const machine = simMachine(1);
  assert.throws(
    () => verifyLog(directoryOf(machine)),
    (reason) => reason instanceof Fault && reason.kind === "not-found",
  );
});

test("a file of the log that is a directory or a pipe is a finding, and the others are checked", async (t) => {
  for (const at of [0, 1]) {
    const { machine, files } = await closedLog();
    const path = files[at]!;
    const open = machine.disk.open.bind(machine.disk);
    t.mock.method(machine.disk, "open", (file: string, mode: OpenMode) => {
      if (file === path) throw new NotRegularFile(path, false);
      return open(file, mode);
    });
    let frames = 0;
    const { findings } = verifyLog(directoryOf(machine), () => frames++);
    const file = path.slice(path.lastIndexOf("/") + 1);
    assert.deepEqual(findings, [{ file, position: 0, kind: "unreadable" }]);
    assert.equal(frames > 15, at === 0, "an index cannot be read, and its store can");
  }
});
