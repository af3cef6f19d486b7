/**
 * If a resource of the disk is missing, no bytes are lost: the log refuses appends as not written, or what it accepted waits
 * until the disk works again. If bytes may be lost, the log fails.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { GroupBuilder } from "../../../../src/log/append/group-builder.ts";
import { type DiskOperation, RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import {
  allValues,
  run,
  type SimMachine,
  simDirectory,
  simMachine,
  stillTurns,
} from "../../../support/log/logs.ts";
import type { OneNodeLog, OneNodeOptions } from "../../../support/log/one-node-log.ts";
import { sealGroup } from "../../../support/log/seal-group.ts";

const settings = { segmentStoreBytesMax: 400 };
const value = (n: number): string => `${n}`.padStart(40, "v");

async function opened(
  name: string,
  options: OneNodeOptions = {},
): Promise<{ machine: SimMachine; disk: RefusingDisk; log: OneNodeLog }> {
  const machine = simMachine(name);
  const disk = new RefusingDisk(machine.disk);
  const log = await machine.open(settings, {
    disk,
    mapper: heapMapper(disk),
    frameCacheBytesMax: 0,
    ...options,
  });
  return { machine, disk, log };
}

/** Advances the clock, so that the node retries what the disk refused. */
async function retries({ clock }: SimMachine): Promise<void> {
  for (let tick = 0; tick < 30; tick++) {
    clock.advance(5);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Refusal {
  /** The first record that was not written. */
  readonly next: number;
  /** The refusal; undefined if it waits, or if the disk refused nothing. */
  readonly fault: Fault | undefined;
  /** An append that was accepted and waits until the disk works again. */
  readonly waiting: Promise<unknown> | undefined;
}

/** Appends until the disk refuses one, up to 40. */
async function untilRefused(machine: SimMachine, log: OneNodeLog, from = 0): Promise<Refusal> {
  for (let next = from; next < from + 40; next++) {
    let isSettled = false;
    let fault: Fault | undefined;
    const waiting = log.append(run(value(next))).catch((reason: unknown) => {
      assert.ok(reason instanceof Fault, String(reason));
      fault = reason;
    });
    void waiting.then(() => {
      isSettled = true;
    });
    for (let turn = 0; turn < 5 && !isSettled; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (!isSettled) await retries(machine);
    if (!isSettled) return { next, fault: undefined, waiting };
    if (fault !== undefined) return { next, fault, waiting: undefined };
  }
  return { next: from + 40, fault: undefined, waiting: undefined };
}

const upTo = (count: number): string[] => Array.from({ length: count }, (_, n) => value(n));
const all = [
  ["open", "EMFILE"],
  ["open", "ENFILE"],
  ["open", "ENOMEM"],
  ["open", "EACCES"],
  ["open", "EINTR"],
  ["open", "ENOSPC"],
  ["open-directory", "EMFILE"],
  ["write", "EINTR"],
  ["write", "EAGAIN"],
  ["write", "ENOMEM"],
  ["write", "ENOSPC"],
  ["rename", "EACCES"],
  ["rename", "ENOSPC"],
] as const;

describe("a disk that refuses operations operations", () => {
  for (const [operation, code] of all) {
    test(`${operation} with ${code} refuses appends as not written, or one waits; the log continues when the disk works again`, async () => {
      const { machine, disk, log } = await opened(`${operation} ${code}`);
      await log.append(run(value(0)));
      disk.refuse = (asked) => (asked === operation ? code : undefined);
      const { next, fault, waiting } = await untilRefused(machine, log, 1);
      assert.ok(disk.refused.length > 0);
      const kind = code === "ENOSPC" ? "disk-full" : "disk-busy";
      const refused = fault ?? (await log.append(run("meanwhile")).catch(Fault.from));
      assert.ok(refused instanceof Fault && (fault !== undefined || waiting !== undefined));
      assert.deepEqual([refused.kind, refused.written], [kind, "no"]);
      assert.equal(log.storedLog.failure, undefined);
      assert.equal(log.replica.diskRefusal?.kind, kind);
      disk.refuse = () => undefined;
      assert.deepEqual(await allValues(log), upTo(next));
      await retries(machine);
      await waiting;
      const from = waiting === undefined ? next : next + 1;
      assert.deepEqual(await allValues(log), upTo(from));
      assert.equal((await untilRefused(machine, log, from)).next, from + 40);
      assert.equal(log.replica.diskRefusal, undefined);
      assert.deepEqual(await allValues(log), upTo(from + 40));
      // All of it was durable when it was acknowledged.
      machine.disk.odds = { keep: 0, tear: 0 };
      machine.disk.crash();
      const again = await machine.open(settings);
      assert.deepEqual(await allValues(again), upTo(from + 40));
      await again.close();
    });
  }

  test("after each refused open of a roll, the next attempt rolls", async () => {
    for (let refusedAt = 0; refusedAt < 4; refusedAt++) {
      const { machine, disk, log } = await opened(`nth open ${refusedAt}`);
      await log.append(run(value(0)));
      let count = 0;
      disk.refuse = (asked) => (asked === "open" && count++ === refusedAt ? "EMFILE" : undefined);
      const { next, fault } = await untilRefused(machine, log, 1);
      disk.refuse = () => undefined;
      if (disk.refused.length > 0) assert.equal(fault?.kind, "disk-busy");
      assert.equal((await untilRefused(machine, log, next)).next, next + 40);
      assert.deepEqual(await allValues(log), upTo(next + 40));
      await log.close();
    }
  });

  const losses: readonly (readonly [DiskOperation, string])[] = [
    ["write", "EIO"],
    ["write", "EROFS"],
    ["sync", "EIO"],
    ["sync", "ENOSPC"],
    ["sync", "EINTR"],
    ["sync", "EMFILE"],
    ["sync-directory", "EIO"],
    ["sync-directory", "ENOSPC"],
    ["rename", "EIO"],
  ];
  for (const [operation, code] of losses) {
    test(`${operation} with ${code} fails the log, and the append is unknown`, async () => {
      const { machine, disk, log } = await opened(`${operation} ${code} lost`);
      await log.append(run(value(0)));
      disk.refuse = (asked) => (asked === operation ? code : undefined);
      const { fault } = await untilRefused(machine, log, 1);
      assert.deepEqual([fault?.kind, fault?.written], ["interrupted", "unknown"]);
      assert.equal((await log.failed).kind, "disk-failed");
      assert.equal(log.storedLog.failure?.kind, "disk-failed");
      disk.refuse = () => undefined;
      await assert.rejects(
        log.append(run("no")),
        (reason) => reason instanceof Fault && reason.written === "no",
      );
    });
  }

  test("prepare() returns the refusal of the next segment before a frame is staged", async () => {
    const { disk, log } = await opened("prepare");
    for (let n = 0; n < 3; n++) await log.append(run(value(n)));
    const left = settings.segmentStoreBytesMax - log.storedLog.segments.at(-1)!.bytes;
    disk.refuse = (asked) => (asked === "open" ? "EMFILE" : undefined);
    assert.equal(log.storedLog.prepare(left, 1, 0), undefined);
    assert.equal(log.storedLog.prepare(left + 1, 1, 0)?.kind, "disk-busy");
    assert.equal(log.storedLog.retryRefused()?.kind, "disk-busy");
    disk.refuse = () => undefined;
    assert.equal(log.storedLog.retryRefused(), undefined);
    assert.equal(log.storedLog.refusal, undefined);
    // The roll uses the prepared files and opens nothing.
    const segments = log.storedLog.segments.length;
    disk.refuse = (asked) => (asked === "open" ? "EMFILE" : undefined);
    await log.append(run("x".repeat(left)));
    assert.equal(log.storedLog.segments.length, segments + 1);
    await log.close();
  });

  test("a read without a file descriptor is refused as not written, and works when there is one", async () => {
    for (const code of ["EMFILE", "ENFILE", "ENOMEM", "EACCES"]) {
      const { disk, log } = await opened(`read ${code}`, { openFilesMax: 1 });
      for (let n = 0; n < 40; n++) await log.append(run(value(n)));
      disk.refuse = (asked) => (asked === "open" ? code : undefined);
      for (const offset of [0, 12, 24]) {
        await assert.rejects(log.read(offset), (reason) => {
          assert.ok(reason instanceof Fault, String(reason));
          assert.deepEqual([reason.kind, reason.written, reason.retry], ["disk-busy", "no", true]);
          return true;
        });
      }
      assert.equal(log.storedLog.damagedSegments, 0);
      disk.refuse = () => undefined;
      assert.deepEqual(await allValues(log), upTo(40));
      await log.close();
    }
  });

  test("bytes that cannot be read are reported as damage", async () => {
    const { disk, log } = await opened("read EIO");
    for (let n = 0; n < 40; n++) await log.append(run(value(n)));
    const { path: first } = log.storedLog.sealed.find(({ nextOffset }) => nextOffset > 0)!;
    disk.refuse = (asked, path) => (asked === "read" && path === first ? "EIO" : undefined);
    await assert.rejects(log.read(0), (reason) => reason instanceof Fault && reason.kind === "corrupt");
    assert.equal(log.storedLog.damagedSegments, 1);
    await log.close();
  });

  test("a damaged index is rebuilt in memory if its file cannot be written", async () => {
    const { machine, disk, log } = await opened("rebuilt");
    for (let n = 0; n < 20; n++) await log.append(run(value(n)));
    const { first } = log.storedLog.sealed.find(({ nextOffset }) => nextOffset > 0)!;
    const path = `${simDirectory}/log/${String(first).padStart(20, "0")}.index`;
    await log.close();
    const again = await machine.open(settings, {
      disk,
      mapper: heapMapper(disk),
      frameCacheBytesMax: 0,
      checkBytesMax: 0,
    });
    machine.disk.flipBit(path, 8 * 70);
    disk.refuse = (asked, at) => (asked === "write" && at.endsWith(".tmp") ? "ENOSPC" : undefined);
    assert.deepEqual(await allValues(again), upTo(20));
    assert.ok(disk.refused.length > 0);
    await again.close();
  });

  test("a trim succeeds if files cannot be removed yet, and they are removed later", async () => {
    const { machine, disk, log } = await opened("removal");
    for (let n = 0; n < 40; n++) await log.append(run(value(n)));
    const stores = (): number =>
      machine.disk.list(`${simDirectory}/log`).filter((name) => name.endsWith(".store")).length;
    const before = stores();
    disk.refuse = (asked) => (asked === "remove" ? "EACCES" : undefined);
    await log.trim(30);
    machine.clock.advance(1000);
    await stillTurns();
    assert.ok(disk.refused.length > 0);
    await log.append(run(value(40)));
    assert.equal(log.storedLog.failure, undefined);
    assert.ok(stores() >= before);
    disk.refuse = () => undefined;
    await log.append(run(value(41)));
    machine.clock.advance(1000);
    await stillTurns();
    assert.ok(stores() < before);
    await log.close();
    const again = await machine.open(settings);
    assert.equal((await again.bounds()).lowest, 30);
    await again.close();
  });
});

test("a refused cut of whole segments changes nothing, and succeeds when the disk works again", async () => {
  for (let refusedAt = 0; refusedAt < 8; refusedAt++) {
    const { machine, disk, log } = await opened(`cut ${refusedAt}`);
    for (let n = 0; n < 6; n++) await log.append(run(value(n)));
    await log.close();
    const segmented = machine.openStored({ disk, mapper: heapMapper(disk), frameCacheBytesMax: 0 });
    const commitIndex = segmented.durableIndex;
    segmented.commitTo(commitIndex);
    // Uncommitted frames, staged and written like those of a follower.
    for (let n = 0; n < 12; n++) {
      const builder = new GroupBuilder(1000);
      builder.add(run(`uncommitted ${value(n)}`), undefined, true);
      const sealed = sealGroup(builder, segmented.end, 1, machine.clock.nowMs);
      segmented.stageChecked(sealed.group);
      segmented.flushNow();
    }
    const end = segmented.end;
    const segments = segmented.segments.length;
    let count = 0;
    disk.refuse = (asked) =>
      (asked === "open" || asked === "open-directory" || asked === "rename") && count++ === refusedAt
        ? "EMFILE"
        : undefined;
    try {
      segmented.truncateSuffix(commitIndex + 1);
    } catch (reason) {
      assert.ok(reason instanceof Fault && reason.kind === "disk-busy", String(reason));
      assert.deepEqual(segmented.end, end);
      assert.equal(segmented.segments.length, segments);
      disk.refuse = () => undefined;
      segmented.truncateSuffix(commitIndex + 1);
    }
    disk.refuse = () => undefined;
    assert.equal(segmented.end.index, commitIndex);
    segmented.close();
    const again = await machine.open(settings);
    assert.deepEqual(await allValues(again), upTo(6));
    for (let n = 6; n < 20; n++) await again.append(run(value(n)));
    assert.deepEqual(await allValues(again), upTo(20));
    await again.close();
  }
});
