import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { heapMapper, systemMapper } from "../../../src/lib/disk/mapped-file.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { RecordCursor, verifyLog } from "../../../src/log/mod.ts";
import {
  allValues,
  run,
  simDirectory,
  simMachine,
  stillTurns,
  valueAt,
  valuesOf,
} from "../../support/log/logs.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { scratchDirectory } from "../../support/scratch.ts";

const write = "hello world";

const logScenarios: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  "a record is read as it was appended": async (directory) => {
    await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    const { firstOffset } = await opened.append(run(write));
    assert.equal(firstOffset, 0);
    assert.equal(await valueAt(opened, firstOffset), "hello world");
  },
  "an offset beyond the end is out of range": async (directory) => {
    await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    await assert.rejects(
      opened.read(1),
      (reason) => reason instanceof Fault && reason.kind === "out-of-range",
    );
  },
  "a log continues after its existing segments": async (directory) => {
    {
      await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
      for (let n = 0; n < 3; n++) await opened.append(run(write));
      assert.deepEqual(await opened.bounds(), { lowest: 0, next: 3 });
    }
    await using again = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    assert.deepEqual(await again.bounds(), { lowest: 0, next: 3 });
    assert.ok((await again.describe()).segments.length >= 3);
    assert.equal((await again.append(run("3"))).firstOffset, 3);
  },
  "a tail returns all records in order": async (directory) => {
    await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    for (let n = 0; n < 3; n++) await opened.append(run(`${write} ${n}`));
    using tail = opened.follow(0);
    const offsets: number[] = [];
    for (let slice = tail.take(1); slice !== undefined; slice = tail.take(1)) {
      const cursor = new RecordCursor(slice.frames);
      while (cursor.next()) offsets.push(cursor.offset);
    }
    assert.deepEqual(offsets, [0, 1, 2]);
  },
  "trimmed records are out of range, the rest is read": async (directory) => {
    await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    for (let n = 0; n < 3; n++) await opened.append(run(write));
    await opened.trim(1);
    await assert.rejects(
      opened.read(0),
      (reason) => reason instanceof Fault && reason.kind === "out-of-range",
    );
    assert.equal(await valueAt(opened, 1), "hello world");
  },
  "a new log begins at its initial offset, an existing one ignores it": async (directory) => {
    {
      await using opened = await openOneNode(directory, {}, { initialOffset: 16 });
      assert.deepEqual(await opened.bounds(), { lowest: 16, next: 16 });
      assert.equal((await opened.append(run("a"))).firstOffset, 16);
    }
    await using again = await openOneNode(directory, {}, { initialOffset: 99 });
    assert.deepEqual(await again.bounds(), { lowest: 16, next: 17 });
    assert.equal(await valueAt(again, 16), "a");
  },
};

for (const [name, scenario] of Object.entries(logScenarios)) {
  test(name, async () => {
    using scratch = scratchDirectory();
    await scenario(scratch.path);
  });
}

test("mapped indexes and indexes read into memory give the same results", async () => {
  using scratch = scratchDirectory();
  {
    await using opened = await openOneNode(scratch.path, { segmentStoreBytesMax: 500 });
    for (let n = 0; n < 50; n++) await opened.append(run(`${n}`));
  }
  assert.notEqual(systemMapper(), undefined, "koffi loads on this machine");
  for (const mapper of [systemMapper()!, heapMapper(systemDisk)]) {
    await using opened = await openOneNode(
      scratch.path,
      { segmentStoreBytesMax: 500 },
      { mapper, openFilesMax: 3 },
    );
    for (let n = 49; n >= 0; n--) assert.equal(await valueAt(opened, n), `${n}`);
    assert.ok(opened.storedLog.openFiles.mappings <= 3 && opened.storedLog.openFiles.stores <= 3);
    const { findings } = verifyLog({ directory: scratch.path, disk: systemDisk, store: opened.store });
    assert.deepEqual(findings, []);
  }
});

test("the index file has the same entries after a restart", async () => {
  const machine = simMachine(1);
  const log = await machine.open();
  for (let n = 0; n < 5; n++) await log.append(run(`${n}`));
  await log.close();
  const path = `${simDirectory}/log/00000000000000000001.index`;
  const before = machine.disk.contents(path);
  const again = machine.openStored();
  assert.equal(again.recovery.indexRebuilt, false);
  assert.deepEqual(valuesOf(again.reader.read(4), 4), ["4"]);
  again.close();
  assert.deepEqual(machine.disk.contents(path), before);
});

test("the files of trimmed segments are removed, the rest is read as before", async () => {
  const machine = simMachine(2);
  const log = await machine.open({ segmentStoreBytesMax: 300 });
  for (let n = 0; n < 30; n++) await log.append(run(`${n}`));
  const files = machine.disk.list(`${simDirectory}/log`).length;
  await log.trim(20);
  await log.append(run("30"));
  machine.clock.advance(1000);
  await stillTurns();
  assert.ok(machine.disk.list(`${simDirectory}/log`).length < files / 2);
  assert.deepEqual(
    await allValues(log),
    Array.from({ length: 11 }, (_, n) => `${n + 20}`),
  );
  await log.close();
  const again = await machine.open({ segmentStoreBytesMax: 300 });
  assert.deepEqual(await again.bounds(), { lowest: 20, next: 31 });
});
