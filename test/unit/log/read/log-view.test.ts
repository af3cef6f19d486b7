import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { SyncPolicy } from "../../../../src/log/mod.ts";
import { run, simMachine, valuesOf } from "../../../support/log/logs.ts";

const isKind =
  (kind: string) =>
  (fault: unknown): boolean =>
    fault instanceof Fault && fault.kind === kind;

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
  const machine = simMachine(6);
  const log = await machine.open({ segmentStoreBytesMax: 1000 }, { frameCacheBytesMax: 0 });
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
});

test("a node that has not applied the delete of a log whose segments are gone is behind, and does not crash", async () => {
  const machine = simMachine(7);
  const settings = { segmentStoreBytesMax: 400 };
  const log = await machine.open(settings, { frameCacheBytesMax: 0, syncPolicy: new SyncPolicy(true) });
  await log.change({ kind: "create", name: "a", settings: {} });
  for (let n = 0; n < 12; n++) await log.append(run(`a ${n} ${"x".repeat(60)}`), { log: { name: "a" } });
  const { storedLog } = log;
  const row = storedLog.state.logs.named("a")!;
  await log.change({ kind: "delete", log: { name: "a" } });
  for (let n = 0; n < 12; n++) await log.append(run(`default ${n} ${"x".repeat(60)}`));
  assert.ok(storedLog.compact() > 2);
  assert.ok(storedLog.firstIndex > row.lastIndex);
  const view = storedLog.view(row.id);
  Object.defineProperty(view, "row", { value: row });
  for (const offset of [0, 11]) assert.throws(() => view.read(offset), isKind("unavailable"));
  assert.equal(view.seekTime(0), 12);
});
