import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { LogView } from "../../../../src/log/mod.ts";
import { FixedSyncPolicy } from "../../../support/log/fixed-sync-policy.ts";
import { compact, run, simDirectory, simMachine, valuesOf } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";

const isKind =
  (kind: string) =>
  (fault: unknown): boolean =>
    fault instanceof Fault && fault.kind === kind;

/** A log of one node with the named logs a and b, of which every record stands in a small segment. */
async function openTwo(seed: number, records: number): Promise<{ log: OneNodeLog; a: LogView; b: LogView }> {
  const { open } = simMachine(seed);
  const log = await open({ segmentStoreBytesMax: 900 }, { frameCacheBytesMax: 0, openFilesMax: 2 });
  const [a, b] = [await create(log, "a"), await create(log, "b")];
  for (let n = 0; n < records; n++) {
    await log.append(run(`a ${n}`), { log: { name: "a" } });
    await log.append(run(`b ${n}`), { log: { name: "b" } });
  }
  return { log, a, b };
}

async function create(log: OneNodeLog, name: string): Promise<LogView> {
  const { log: info } = await log.change({ kind: "create", name, settings: {} });
  return log.storedLog.view(info!.id);
}

test("take, read, batchBytes and seekTime agree with the records, over many segments and other logs between", async () => {
  for (const frameCacheBytesMax of [0, 400, 1 << 20]) {
    const machine = simMachine(5);
    const log = await machine.open({ segmentStoreBytesMax: 500 }, { frameCacheBytesMax, openFilesMax: 2 });
    const { log: info } = await log.change({ kind: "create", name: "a", settings: {} });
    await log.change({ kind: "create", name: "b", settings: {} });
    const times: number[] = [];
    const values: string[] = [];
    for (let n = 0; n < 40; n++) {
      machine.clock.advance(7);
      const batch = Array.from({ length: 1 + (n % 3) }, (_, k) => `${n}.${k}`);
      const { firstOffset, timestampMs } = await log.append(run(...batch), { log: { name: "a" } });
      assert.equal(firstOffset, values.length);
      values.push(...batch);
      for (const _ of batch) times.push(timestampMs);
      if (n % 2 === 0) await log.append(run("other"), { log: { name: "b" } });
      if (n % 5 === 0) await log.append(run("default"));
    }
    const view = log.storedLog.view(info!.id);
    for (const [offset, value] of values.entries()) {
      const slice = view.read(offset);
      assert.equal(valuesOf(slice, offset)[0], value);
      assert.equal(view.batchBytes(offset), slice.frames.length);
      for (const maxBytes of [0, 200, 1 << 16]) {
        const taken = view.take(offset, maxBytes)!;
        assert.deepEqual(valuesOf(taken, offset), values.slice(offset, taken.nextOffset));
        const isOneBatch = taken.frames.length === slice.frames.length;
        assert.ok(isOneBatch || taken.frames.length <= maxBytes, `${taken.frames.length} of ${maxBytes}`);
      }
      assert.equal(view.seekTime(times[offset]!), times.indexOf(times[offset]!));
      assert.equal(view.seekTime(times[offset]! + 1), times.lastIndexOf(times[offset]!) + 1);
    }
    assert.equal(view.take(values.length, 100), undefined);
    assert.equal(view.batchBytes(values.length), 0);
    assert.equal(view.seekTime(0), 0);
    assert.throws(() => view.read(values.length), isKind("out-of-range"));
    assert.throws(() => view.take(values.length + 1, 9), isKind("out-of-range"));
    await log.trim(30, { log: { name: "a" } });
    assert.throws(() => view.take(29, 9), isKind("out-of-range"));
    assert.equal(view.seekTime(0), 30);
    await log.close();
  }
});

test("a frame of another log is not shown, wherever an index leads", async () => {
  for (const frameCacheBytesMax of [0, 1 << 20]) await readWithWrongIndex(frameCacheBytesMax);
});

async function readWithWrongIndex(frameCacheBytesMax: number): Promise<void> {
  const machine = simMachine(6);
  const log = await machine.open({ segmentStoreBytesMax: 1000 }, { frameCacheBytesMax });
  for (const name of ["a", "b"]) await log.change({ kind: "create", name, settings: {} });
  for (let n = 0; n < 30; n++)
    for (const name of ["a", "b"]) await log.append(run(`${name} ${n}`), { log: { name } });
  const [sealed] = log.storedLog.sealed.filter(({ meta }) => meta.namedBatches !== undefined);
  assert.ok(sealed !== undefined);
  const wrong = sealed.batchesOf(2)!;
  Object.defineProperty(sealed, "batchesOf", { value: () => wrong });
  const view = log.storedLog.view(1);
  let refused = 0;
  for (let offset = 0; offset < 30; offset++) {
    try {
      assert.equal(valuesOf(view.read(offset), offset)[0], `a ${offset}`);
    } catch (fault) {
      assert.ok(isKind("corrupt")(fault), String(fault));
      refused++;
    }
  }
  assert.ok(refused > 0);
}

test("a node that has not applied the delete of a log whose segments are gone is behind, and does not crash", async () => {
  const machine = simMachine(7);
  const settings = { segmentStoreBytesMax: 400 };
  const log = await machine.open(settings, { frameCacheBytesMax: 0, syncPolicy: new FixedSyncPolicy(true) });
  await log.change({ kind: "create", name: "a", settings: {} });
  for (let n = 0; n < 12; n++) await log.append(run(`a ${n} ${"x".repeat(60)}`), { log: { name: "a" } });
  const { storedLog } = log;
  const row = storedLog.state.logs.named("a")!;
  await log.change({ kind: "delete", log: { name: "a" } });
  for (let n = 0; n < 12; n++) await log.append(run(`default ${n} ${"x".repeat(60)}`));
  assert.ok((await compact(storedLog)) > 2);
  assert.ok(storedLog.firstIndex > row.lastIndex);
  const view = storedLog.view(row.id);
  Object.defineProperty(view, "row", { value: row });
  Object.defineProperty(storedLog.committed, "storedRow", { value: () => row });
  for (const offset of [0, 11]) assert.throws(() => view.read(offset), isKind("unavailable"));
  assert.equal(view.seekTime(0), 12);
});

test("two logs can be read in turn when the files of one close those of the other", async () => {
  const { a, b } = await openTwo(1, 40);
  for (let n = 0; n < 40; n++) {
    assert.deepEqual(valuesOf(a.take(n, 1)!), [`a ${n}`]);
    assert.deepEqual(valuesOf(b.take(39 - n, 1)!), [`b ${39 - n}`]);
  }
});

test("a read rebuilds a damaged index of a segment, and goes on with the log index", async () => {
  const machine = simMachine(2);
  const settings = { segmentStoreBytesMax: 900 };
  const options = { frameCacheBytesMax: 0, openFilesMax: 2 };
  const log = await machine.open(settings, options);
  const { id } = await create(log, "a");
  for (let n = 0; n < 30; n++) await log.append(run(`a ${n}`), { log: { name: "a" } });
  await log.close();
  const { disk } = machine;
  const opened = await machine.open(settings, options);
  const indexes = disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".index"));
  disk.remove(`${simDirectory}/log/${indexes[1]}`);
  const view = opened.storedLog.view(id);
  const found: string[] = [];
  for (let next = 0; next < 30; ) {
    const slice = view.take(next, 1 << 16)!;
    found.push(...valuesOf(slice));
    next = slice.nextOffset;
  }
  assert.deepEqual(
    found,
    Array.from({ length: 30 }, (_, n) => `a ${n}`),
  );
});

test("batches are read together, as many as fit", async () => {
  const { open } = simMachine(3);
  const log = await open({}, { frameCacheBytesMax: 0 });
  const view = await create(log, "a");
  for (let n = 0; n < 9; n++) await log.append(run("x".repeat(100)), { log: { name: "a" } });
  await log.append(run("of default"));
  await log.append(run("later"), { log: { name: "a" } });
  const one = view.take(0, 0)!.frames.length;
  for (const count of [1, 2, 5, 8]) {
    const { nextOffset, frames } = view.take(0, count * one + one - 1)!;
    assert.deepEqual([nextOffset, frames.length], [count, count * one]);
  }
  assert.deepEqual(valuesOf(view.take(0, 99 * one)!), [...Array(9).fill("x".repeat(100)), "later"]);
});

test("a reader that goes on reads more at once, into the buffer that it brings", async () => {
  const { open } = simMachine(8);
  const log = await open({}, { frameCacheBytesMax: 0 });
  const [view] = [await create(log, "a"), await create(log, "b")];
  for (let n = 0; n < 100; n++)
    for (const [name, text] of [
      ["a", `${n}`],
      ["b", "b".repeat(17_000)],
    ] as const)
      await log.append(run(text), { log: { name } });
  const buffer = new Uint8Array(64 * 1024);
  const ends: number[] = [];
  for (let next = 0; next < 100; ) {
    const slice = view.take(next, buffer.length, buffer)!;
    assert.equal(slice.frames.buffer, buffer.buffer);
    assert.deepEqual(
      valuesOf(slice),
      Array.from({ length: slice.nextOffset - next }, (_, n) => `${next + n}`),
    );
    next = slice.nextOffset;
    ends.push(next);
  }
  assert.deepEqual(ends, [8, 72, 100]);
});

test("views beyond a limit are dropped, and one that a reader still holds is the same again", async () => {
  const { storedLog } = await simMachine(4).open();
  const [used, unused] = [storedLog.view(1), storedLog.view(2)];
  used.tailOpened();
  for (let id = 3; id < 1_100; id++) storedLog.view(id);
  assert.equal(storedLog.view(1), used);
  assert.equal(storedLog.view(2), unused);
});
