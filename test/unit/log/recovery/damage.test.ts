import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { frameBytes, type LogDirectory, repairLog, verifyLog } from "../../../../src/log/mod.ts";
import type { StableStore } from "../../../../src/store/stable-store.ts";
import { allValues, run, type SimMachine, simDirectory, simMachine, valueAt } from "../../../support/logs.ts";

const corrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";
const placeOf = ({ disk, store }: SimMachine): LogDirectory => ({ directory: simDirectory, disk, store });
const settings = { segmentStoreBytesMax: 700 };

/** A log of three segments, closed in order, and the values in it. */
async function closedLog(seed = 1): Promise<{ machine: SimMachine; values: string[]; files: string[] }> {
  const machine = simMachine(seed);
  const log = await machine.open(settings);
  const values: string[] = [];
  for (let n = 0; n < 15; n++) {
    values.push(`value ${n}`);
    const producer = n % 3 === 0 ? { subject: "s", id: 1n, epoch: 0, sequence: n / 3 } : undefined;
    await log.append(run(`value ${n}`), producer === undefined ? {} : { producer });
  }
  await log.close();
  const files = machine.disk.list(`${simDirectory}/log`).map((name) => `${simDirectory}/log/${name}`);
  assert.equal(files.length, 6);
  return { machine, values, files };
}

/**
 * Starts a node, and reads everything, one by one and as a tail; what is served must be right. Answers what could not be
 * served. Afterwards the machine is as it was before.
 */
async function servedAs(
  machine: SimMachine,
  values: readonly string[],
  options: { checkBytesMax?: number } = {},
): Promise<Fault[]> {
  const image = { disk: machine.disk.image(), store: machine.store.image() };
  try {
    return await faultsWhileServing(machine, values, options);
  } finally {
    machine.disk.putBack(image.disk);
    machine.store.putBack(image.store);
  }
}

async function faultsWhileServing(
  machine: SimMachine,
  values: readonly string[],
  options: { checkBytesMax?: number },
): Promise<Fault[]> {
  const faults: Fault[] = [];
  const note = (reason: unknown): void => {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") throw reason;
    faults.push(reason);
  };
  let log: Awaited<ReturnType<SimMachine["open"]>>;
  try {
    log = await machine.open(settings, options);
  } catch (reason) {
    note(reason);
    return faults;
  }
  for (const [offset, value] of values.entries()) {
    try {
      assert.equal(await valueAt(log, offset), value);
    } catch (reason) {
      note(reason);
    }
  }
  try {
    assert.deepEqual(await allValues(log), values);
  } catch (reason) {
    note(reason);
  }
  await log.close();
  return faults;
}

/** Where the first frame with records stands in the first store. */
const firstRecordAt = (store: Uint8Array): number =>
  frameBytes(store, 0) + frameBytes(store, frameBytes(store, 0));

test("an orderly closed log verifies and tells its extent", async () => {
  const { machine } = await closedLog();
  const { findings, torn, records, lowest, next, bytes } = verifyLog(placeOf(machine));
  assert.deepEqual(findings, []);
  assert.equal(torn, undefined);
  assert.deepEqual([records, lowest, next], [15, 0, 15]);
  assert.ok(bytes > 1400);
});

test("any single flipped bit is found by verify, refuses to start, and is never served", async () => {
  const { machine, values, files } = await closedLog();
  for (const file of files) {
    const bits = machine.disk.contents(file).length * 8;
    const isStore = file.endsWith(".store");
    for (let bit = 0; bit < bits; bit++) {
      // Every bit is verified; of the longer ways, opening and reading, a sample of one bit in 97 is gone.
      machine.disk.flipBit(file, bit);
      const { findings } = verifyLog(placeOf(machine));
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
        // A damaged index is built anew.
        assert.deepEqual(await servedAs(machine, values), []);
        machine.openStored().close();
        assert.deepEqual(machine.disk.contents(file), before);
        assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
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
      // Where opening does not look at sealed segments, the reader finds it. The first two frames begin a term and set
      // the settings: no reader is ever sent them.
      const faults = await servedAs(machine, values, { checkBytesMax: 0 });
      if (file !== files[1] || bit >> 3 >= firstRecordAt(before)) assert.ok(faults.length > 0, `${bit}`);
      for (const { facts } of faults) assert.match(String(facts["file"]), /\d{20}\.store$/);
      machine.disk.flipBit(file, bit);
    }
  }
});

test("damage that a reader met is noted: the next start is refused until the right bytes are back", async () => {
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

test("repair after a noted damage clears the note", async () => {
  const { machine, files } = await closedLog();
  machine.disk.flipBit(files[3]!, 8 * (machine.disk.contents(files[3]!).length - 3));
  const log = await machine.open(settings, { checkBytesMax: 0 });
  await assert.rejects(allValues(log), corrupt);
  await log.close();
  assert.ok(repairLog(placeOf(machine), true).lost > 0);
  await (await machine.open(settings)).close();
});

test("a damaged last segment refuses to start, naming file, position and the repair command", async () => {
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

for (const [name, harm] of Object.entries({
  missing: (machine: SimMachine, path: string) => machine.disk.remove(path),
  empty: (machine: SimMachine, path: string) => machine.disk.open(path, "write").truncate(0),
  short: (machine: SimMachine, path: string) => machine.disk.open(path, "write").truncate(70),
  scrambled: (machine: SimMachine, path: string) =>
    machine.disk.open(path, "write").write(new Uint8Array(200).fill(0xa5), 0),
})) {
  test(`an index that is ${name} is found, and built anew for sealed and active segments alike`, async () => {
    const { machine, values, files } = await closedLog();
    for (const path of files.filter((file) => file.endsWith(".index"))) {
      const before = machine.disk.contents(path);
      harm(machine, path);
      assert.ok(verifyLog(placeOf(machine)).findings.length > 0 || path === files[4]);
      assert.deepEqual(await servedAs(machine, values), []);
      machine.openStored().close();
      assert.deepEqual(machine.disk.contents(path), before);
    }
    assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
  });
}

test("a store that lost its end, its middle file or all is refused, not taken for a shorter log", async () => {
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
    assert.ok(verifyLog(placeOf(machine)).findings.length > 0);
  }
});

test("a sealed store that is taken away, or cut, under a running log is damage, and the rest is served", async () => {
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

test("repair says what it would cut, changes nothing until told to, then keeps what it cut", async () => {
  const { machine, values, files } = await closedLog();
  const damaged = files[3]!;
  const { length } = machine.disk.contents(damaged);
  machine.disk.flipBit(damaged, 8 * (length - 3));
  const before = files.map((file) => machine.disk.contents(file));
  const plan = repairLog(placeOf(machine), false);
  assert.deepEqual(
    files.map((file) => machine.disk.contents(file)),
    before,
  );
  assert.deepEqual(
    plan.actions.map(({ action }) => action),
    ["cut", "set-aside", "build-index", "forget-commit"],
  );
  assert.equal(plan.next + plan.lost, 15);
  const done = repairLog(placeOf(machine), true);
  assert.deepEqual(done, plan);
  assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
  assert.deepEqual(repairLog(placeOf(machine), true).actions, []);
  const log = await machine.open(settings);
  assert.equal((await log.bounds()).next, plan.next);
  assert.deepEqual(await allValues(log), values.slice(0, plan.next));
  assert.equal((await log.append(run("on it goes"))).firstOffset, plan.next);
  await log.close();
  const kept = machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".cut"));
  assert.equal(kept.length, 2);
  assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
});

test("repair counts the last record among the lost when its own frame is the damaged one", async () => {
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
    const { next, lost } = repairLog(placeOf(machine), true);
    assert.deepEqual([next, lost], [14, 1], harm);
  }
});

test("repair of bytes behind a sealed store's end cuts just them", async () => {
  const { machine, values, files } = await closedLog();
  const store = machine.disk.open(files[1]!, "write");
  store.write(new Uint8Array(3).fill(7), store.size());
  store.close();
  assert.ok(verifyLog(placeOf(machine)).findings.length > 0);
  const { actions, lost } = repairLog(placeOf(machine), true);
  assert.deepEqual([actions.length, actions[0]?.action, actions[0]?.bytes, lost], [1, "cut", 3, 0]);
  assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
  const log = await machine.open(settings);
  assert.deepEqual(await allValues(log), values);
  await log.close();
});

test("repair builds a lost catalog from the segments, and the producers with it", async () => {
  const { machine, values } = await closedLog();
  for (const key of machine.store.keys("log/")) machine.store.write({ [key]: undefined });
  await assert.rejects(
    machine.open(settings),
    (reason) => reason instanceof Fault && reason.kind === "corrupt",
  );
  assert.ok(verifyLog(placeOf(machine)).findings.some(({ kind }) => kind === "no-catalog"));
  assert.equal(repairLog(placeOf(machine), true).next, 15);
  assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
  const log = await machine.open(settings);
  assert.deepEqual(await allValues(log), values);
  const again = await log.append(run("value 12"), {
    producer: { subject: "s", id: 1n, epoch: 0, sequence: 4 },
  });
  assert.deepEqual([again.firstOffset, again.duplicate], [12, true]);
  await log.close();
});

test("a catalog that gives another segment's value, or has lost the directory's id, is refused, found and rebuilt", async () => {
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
    const { findings } = verifyLog(placeOf(machine));
    assert.ok(findings.some(({ file, kind }) => file === "meta" && kind === "catalog"));
    assert.equal(repairLog(placeOf(machine), true).lost, 0);
    assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
    const log = await machine.open(settings);
    assert.deepEqual(await allValues(log), values);
    await log.close();
  }
});

test("a damaged value that is not the log's is found by verify, and repair forgets it", async () => {
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
  const place = { ...placeOf(machine), store: damaged };
  assert.deepEqual(verifyLog(place).findings, [{ file: "meta", position: 0, kind: "cluster-id" }]);
  const { actions, lost } = repairLog(place, true);
  assert.deepEqual(actions, [{ action: "forget-value", file: "meta/cluster-id", position: 0, bytes: 0 }]);
  assert.equal(lost, 0);
  assert.equal(store.get("cluster-id"), undefined);
  assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
});

test("a catalog that lost a key by itself is found; repair takes what is there, and finds a lost segment again", async () => {
  for (const key of ["cluster-id", "log/segment/00000000000000000001", "log/commit"]) {
    const { machine, values } = await closedLog();
    machine.store.write({ "cluster-id": "c" });
    machine.store.loseKey(key, `${key.slice(0, -1)}~`);
    assert.ok(
      verifyLog(placeOf(machine)).findings.some(({ file, kind }) => file === "meta" && kind === "keys"),
    );
    const { actions, lost } = repairLog(placeOf(machine), true);
    assert.ok(actions.some(({ action }) => action === "accept-keys"));
    assert.equal(lost, 0);
    assert.deepEqual(verifyLog(placeOf(machine)).findings, [], key);
    const log = await machine.open(settings);
    assert.deepEqual(await allValues(log), values);
    await log.close();
  }
});

test("a segment without its checkpoint is found", async () => {
  const { machine } = await closedLog();
  const [key] = machine.store.keys("log/checkpoint/");
  machine.store.write({ [key!]: undefined });
  assert.deepEqual(verifyLog(placeOf(machine)).findings, [{ file: "meta", position: 0, kind: "checkpoint" }]);
  assert.equal(repairLog(placeOf(machine), true).lost, 0);
  assert.deepEqual(verifyLog(placeOf(machine)).findings, []);
});

test("repair of the last segment says how many records it costs", async () => {
  const { machine, files } = await closedLog();
  machine.disk.flipBit(files[5]!, 8 * 40);
  const { next, lost } = repairLog(placeOf(machine), true);
  assert.equal(next + lost, 15);
  assert.ok(lost > 1);
});

test("repair accepts a log that ends before what was committed, when told to", async () => {
  const { machine, files } = await closedLog();
  machine.disk.open(files[5]!, "write").truncate(0);
  machine.disk.open(files[4]!, "write").truncate(64);
  await assert.rejects(machine.open(settings), corrupt);
  assert.ok(repairLog(placeOf(machine), true).actions.some(({ action }) => action === "forget-commit"));
  const log = await machine.open(settings);
  assert.ok((await log.bounds()).next < 15);
  await log.close();
});

test("a directory of another node, or of a later version, is refused", async () => {
  const { machine } = await closedLog();
  machine.store.write({ "log/directory": { format: 1, id: new Uint8Array(16).fill(9) } });
  await assert.rejects(
    machine.open(settings),
    (reason) => reason instanceof Fault && reason.kind === "foreign-directory",
  );
  machine.store.write({ "log/directory": { format: 2, id: new Uint8Array(16) } });
  await assert.rejects(machine.open(settings), (reason) => {
    assert.ok(reason instanceof Fault && reason.kind === "unsupported-version");
    assert.deepEqual(reason.facts, { found: 2, expected: 1 });
    return true;
  });
});

test("damage in one store is told of that store alone", async () => {
  const { machine, files } = await closedLog();
  const [, first, , second] = files;
  machine.disk.flipBit(first!, 8 * (machine.disk.contents(first!).length - 3));
  machine.disk.open(second!, "write").truncate(0);
  const names = verifyLog(placeOf(machine)).findings.map(({ file }) => `${simDirectory}/log/${file}`);
  assert.deepEqual(
    names.filter((name) => name.endsWith(".store")),
    [first, second],
  );
});

test("verify of a directory without a log says so", () => {
  const machine = simMachine(1);
  assert.throws(
    () => verifyLog(placeOf(machine)),
    (reason) => reason instanceof Fault && reason.kind === "not-found",
  );
});
