import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { verifyLog } from "../../../../src/log/mod.ts";
import { closedLog, corrupt, directoryOf, settings } from "../../../support/log/closed-log.ts";
import { type SimMachine, simDirectory } from "../../../support/log/logs.ts";

test("a damaged last segment refuses the start, with file, position and the repair command", async () => {
  const { machine, files } = await closedLog();
  const store = files[5]!;
  machine.disk.flipBit(store, 8 * 30);
  await assert.rejects(machine.open(settings), (reason) => {
    assert.ok(corrupt(reason));
    const { facts, message } = reason as Fault;
    assert.deepEqual(facts, {
      file: store,
      position: 0,
      why: "checksum",
      repair: `tailrace repair ${simDirectory}`,
    });
    assert.match(message, /0\.store|\.store is damaged at byte 0/);
    assert.match(message, /tailrace repair \/data/);
    return true;
  });
});

test("a log with a store that is cut, empty or missing is refused", async () => {
  for (const harm of [
    (machine: SimMachine, files: string[]) => machine.disk.open(files[5]!, "write").truncate(0),
    (machine: SimMachine, files: string[]) => {
      const { length } = machine.disk.contents(files[5]!);
      machine.disk.open(files[5]!, "write").truncate(length - 1);
    },
    (machine: SimMachine, files: string[]) => machine.disk.remove(files[5]!),
    (machine: SimMachine, files: string[]) => machine.disk.remove(files[3]!),
  ]) {
    const { machine, files } = await closedLog();
    harm(machine, files);
    await assert.rejects(machine.open(settings), corrupt);
    assert.ok(verifyLog(directoryOf(machine)).findings.length > 0);
  }
});

test("a directory of another node, or of a later version, is refused", async () => {
  const { machine } = await closedLog();
  machine.store.write({ "log/directory": { format: 1, id: new Uint8Array(16).fill(9) } });
  await assert.rejects(
    machine.open(settings),
    (reason) => reason instanceof Fault && reason.kind === "foreign-directory",
  );
  machine.store.write({ "log/directory": { format: 8, id: new Uint8Array(16) } });
  await assert.rejects(machine.open(settings), (reason) => {
    assert.ok(reason instanceof Fault && reason.kind === "unsupported-version");
    assert.deepEqual(reason.facts, { found: 8, expected: 7 });
    return true;
  });
});
