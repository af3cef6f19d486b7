import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { Logger } from "../../../../src/lib/telemetry.ts";
import { run, type SimMachine, simDirectory, simMachine, valueAt } from "../../../support/log/logs.ts";

const settings = { segmentStoreBytesMax: 700 };
const scrubbing = { checkBytesMax: 0, scrubBytesPerSecond: 1024 * 1024 };
const day = 24 * 3_600_000;

async function filled(records = 60): Promise<{ machine: SimMachine; files: string[] }> {
  const machine = simMachine(1);
  const log = await machine.open(settings);
  for (let n = 0; n < records; n++) await log.append(run(`value ${n}`));
  await log.close();
  const files = machine.disk.list(`${simDirectory}/log`).map((name) => `${simDirectory}/log/${name}`);
  return { machine, files };
}

/** Lets time go by, in steps no timer is longer than. */
function pass(machine: SimMachine, ms: number): void {
  for (let gone = 0; gone < ms; gone += 100) machine.clock.advance(100);
}

function listening(): { logger: Logger; errors: object[]; warnings: object[] } {
  const errors: object[] = [];
  const warnings: object[] = [];
  const logger: Logger = {
    error: (facts) => errors.push(facts),
    warn: (facts) => warnings.push(facts),
    info() {},
    debug() {},
    child: () => logger,
  };
  return { logger, errors, warnings };
}

test("a scrub reads every sealed byte once and finds no damage in a sound log", async () => {
  const { machine } = await filled();
  const log = await machine.open(settings, scrubbing);
  const stores = log.storedLog.sealed.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.equal(log.storedLog.scrubbed.bytes, 0);
  pass(machine, 60_000);
  assert.equal(log.storedLog.scrubbed.passes, 1);
  assert.ok(log.storedLog.scrubbed.bytes >= stores);
  assert.equal(log.storedLog.damage, undefined);
  const { bytes } = log.storedLog.scrubbed;
  pass(machine, 60_000);
  assert.equal(log.storedLog.scrubbed.bytes, bytes, "a second pass began at once");
  machine.clock.advance(day);
  pass(machine, 60_000);
  assert.equal(log.storedLog.scrubbed.passes, 2);
  await log.close();
});

test("the scrub finds and reports damage in a sealed store, and the next start is refused", async () => {
  const { machine, files } = await filled();
  const stores = files.filter((file) => file.endsWith(".store"));
  for (const path of [stores[2]!, stores[4]!])
    machine.disk.flipBit(path, 8 * (machine.disk.contents(path).length - 3));
  const { logger, errors } = listening();
  const log = await machine.open(settings, { ...scrubbing, logger });
  assert.equal(log.storedLog.damage, undefined);
  pass(machine, 60_000);
  assert.equal(log.storedLog.damagedSegments, 2);
  assert.equal(errors.length, 2);
  const reported = errors.map((facts) => (facts as { file: string }).file);
  assert.deepEqual(reported, [stores[2], stores[4]]);
  const { facts } = log.storedLog.damage!;
  assert.equal(facts["file"], stores[2]!.slice(`${simDirectory}/log/`.length));
  assert.equal(facts["repair"], `tailrace repair ${simDirectory}`);
  assert.equal(await valueAt(log, 0), "value 0", "what is sound is served");
  await assert.rejects(
    valueAt(log, log.storedLog.sealed[2]!.nextOffset - 1),
    (reason) => reason instanceof Fault && reason.kind === "corrupt",
  );
  await log.close();
  await assert.rejects(machine.open(settings, { checkBytesMax: 0 }), (reason) => {
    assert.ok(reason instanceof Fault && reason.kind === "corrupt");
    assert.equal(reason.facts["file"], stores[2]);
    return true;
  });
});

test("the scrub rebuilds a damaged index of a sealed segment", async () => {
  const { machine, files } = await filled();
  const index = files.filter((file) => file.endsWith(".index"))[3]!;
  const before = machine.disk.contents(index);
  machine.disk.flipBit(index, 8 * 100);
  const { logger, errors, warnings } = listening();
  const log = await machine.open(settings, { ...scrubbing, logger });
  pass(machine, 60_000);
  assert.deepEqual(machine.disk.contents(index), before);
  assert.deepEqual([errors.length, log.storedLog.damagedSegments], [0, 0]);
  assert.ok(warnings.some((facts) => (facts as { file?: string }).file === index));
  await log.close();
});

test("the scrub reports a store that is missing or cannot be read as damage", async () => {
  const { machine, files } = await filled();
  const stores = files.filter((file) => file.endsWith(".store"));
  const log = await machine.open(settings, scrubbing);
  machine.disk.remove(stores[1]!);
  machine.disk.faultyPath = (path) => path === stores[2];
  machine.disk.faults.readFails = 1;
  pass(machine, 60_000);
  assert.equal(log.storedLog.damagedSegments, 2);
  assert.equal(log.storedLog.damage?.facts["why"], "missing");
  await log.close();
});

test("a scrub continues where it stopped when the log was closed", async () => {
  const { machine, files } = await filled();
  const stores = files.filter((file) => file.endsWith(".store"));
  const slow = { checkBytesMax: 0, scrubBytesPerSecond: 1000 };
  const log = await machine.open(settings, slow);
  // A segment's store and the step for its index take 256 KiB of time at most: three of them, and no more.
  while ((machine.store.get("log/scrubbed") ?? 0) !== log.storedLog.sealed[2]!.first)
    machine.clock.advance(1000);
  await log.close();
  assert.equal(machine.clock.timers, 0, "a closed log leaves no timer");
  machine.disk.flipBit(stores[0]!, 8 * (machine.disk.contents(stores[0]!).length - 3));
  machine.disk.flipBit(stores[3]!, 8 * (machine.disk.contents(stores[3]!).length - 3));
  const again = await machine.open(settings, slow);
  while (again.storedLog.damage === undefined) machine.clock.advance(1000);
  assert.equal(again.storedLog.damage.facts["file"], stores[3]!.slice(`${simDirectory}/log/`.length));
  await again.close();
});

test("a segment that is trimmed, cut off or unsealed during a scrub is not damage", async () => {
  const { machine } = await filled();
  const log = await machine.open(settings, scrubbing);
  for (let n = 0; n < 40; n++) {
    machine.clock.advance(997);
    await log.trim(Math.min(59, 2 * n));
  }
  pass(machine, 60_000);
  assert.equal(log.storedLog.scrubbed.passes, 1);
  assert.equal(log.storedLog.damage, undefined);
  await log.close();
});
