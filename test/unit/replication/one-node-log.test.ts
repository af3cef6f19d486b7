/** The log of a cluster with one node, on a simulated disk and a manual clock. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault, type FaultKind } from "../../../src/fault.ts";
import { FixedSyncPolicy } from "../../support/log/fixed-sync-policy.ts";
import {
  allValues,
  run,
  type StillClock,
  simDirectory,
  simMachine,
  valueAt,
  valuesOf,
} from "../../support/log/logs.ts";

const isFault =
  (kind: FaultKind, written: "no" | "unknown" = "no") =>
  (reason: unknown): boolean => {
    assert.ok(reason instanceof Fault, String(reason));
    assert.deepEqual([reason.kind, reason.written], [kind, written]);
    return true;
  };
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Advances the clock in steps, so that the maintenance can run in each. */
async function pass(clock: StillClock, ms: number, stepMs = 500): Promise<void> {
  for (let gone = 0; gone < ms; gone += stepMs) {
    clock.advance(stepMs);
    await soon();
  }
}

describe("group commit", () => {
  test("all waiting appends are written with one sync", async () => {
    const { disk, open } = simMachine(1);
    const log = await open();
    const { sync, write } = { ...disk.counts };
    await Promise.all(Array.from({ length: 500 }, (_, n) => log.append(run(`${n}`))));
    assert.equal(disk.counts.sync - sync, 1);
    assert.ok(disk.counts.write - write <= 2);
  });

  test("no append resolves before its sync, inline or in the background", async () => {
    for (const inline of [true, false]) {
      const { disk, open } = simMachine(2);
      const log = await open({}, { syncPolicy: new FixedSyncPolicy(inline) });
      const before = disk.counts.sync;
      await log.append(run("a"));
      assert.ok(disk.counts.sync > before);
      disk.crash();
      assert.deepEqual(await allValues(await open()), ["a"]);
    }
  });

  test("a full queue refuses appends, and accepts them again after a write", async () => {
    const { open } = simMachine(3);
    const log = await open({}, { queue: { bytesMax: 4000, appendsMax: 20 } });
    const tries = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => log.append(run(`${n}`))));
    assert.equal(tries.filter(({ status }) => status === "fulfilled").length, 5);
    for (const one of tries) if (one.status === "rejected") isFault("overloaded")(one.reason);
    assert.equal((await log.append(run("later"))).firstOffset, 5);
    const large = await Promise.allSettled([
      log.append(run("x".repeat(900))),
      log.append(run("y".repeat(900))),
    ]);
    assert.deepEqual(
      large.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
  });

  test("appends of several groups are written in order", async () => {
    const { open } = simMachine(4);
    const log = await open();
    const big = "x".repeat(1_500_000);
    const all = await Promise.all([0, 1, 2, 3, 4, 5, 6].map((n) => log.append(run(`${n}${big}`))));
    assert.deepEqual(
      all.map(({ firstOffset }) => firstOffset),
      [0, 1, 2, 3, 4, 5, 6],
    );
    assert.deepEqual(
      (await allValues(log)).map((value) => value[0]),
      ["0", "1", "2", "3", "4", "5", "6"],
    );
  });

  test("close fails waiting and later appends as not written", async () => {
    const { open } = simMachine(5);
    const log = await open();
    await log.append(run("a"));
    const waiting = assert.rejects(log.append(run("b")), isFault("unavailable"));
    await log.close();
    await waiting;
    await assert.rejects(log.append(run("c")), isFault("unavailable"));
    await log.close();
    assert.deepEqual(await allValues(await open()), ["a"]);
  });

  test("close completes the sync in progress, and its appends fail with an unknown outcome", async () => {
    const { disk, open } = simMachine("close");
    const log = await open({}, { syncPolicy: new FixedSyncPolicy(false) });
    const before = disk.counts.sync;
    const syncing = assert.rejects(log.append(run("a")), isFault("interrupted", "unknown"));
    await Promise.resolve();
    await log.close();
    await syncing;
    assert.ok(disk.counts.sync > before);
    disk.crash();
    assert.deepEqual(await allValues(await open()), ["a"]);
  });
});

describe("a full disk", () => {
  const settings = { segmentStoreBytesMax: 100_000 };
  const options = { reserveBytes: 20_000 };

  test("refuses records, still reads and trims, and accepts records again by itself", async () => {
    const { disk, clock, open } = simMachine(6);
    const log = await open({ ...settings, segmentStoreBytesMax: 3000 }, options);
    await log.append(run("first"));
    for (let n = 0; n < 10; n++) await log.append(run("x".repeat(2000)));
    disk.capacityBytes = 0;
    disk.capacityBytes = 60_000 - Math.max(0, disk.freeBytes("/"));
    let refused = 0;
    for (let n = 0; n < 40; n++)
      await log.append(run("y".repeat(1000))).catch((reason) => refused++ && isFault("disk-full")(reason));
    assert.ok(refused > 0);
    assert.equal(log.replica.diskRefusal?.kind, "disk-full");
    const { next } = await log.bounds();
    assert.equal(await valueAt(log, 0), "first");
    // Only the space of the reserve is left for the trim.
    assert.ok(disk.freeBytes("/") < options.reserveBytes);
    await assert.rejects(log.append(run("no")), isFault("disk-full"));
    assert.equal(await log.trim(next - 1), next - 1);
    await pass(clock, 2000);
    assert.equal((await log.append(run("again"))).firstOffset, next);
    assert.equal(log.replica.diskRefusal, undefined);
    await log.close();
    assert.equal(disk.contents(`${simDirectory}/reserve`).length, 20_000);
  });

  test("writes accepted records in order once there is space, and acknowledges none before", async () => {
    const { disk, clock, open } = simMachine(7);
    const log = await open(settings, { ...options, syncPolicy: new FixedSyncPolicy(false) });
    await log.append(run("a"));
    disk.capacityBytes = 20_600;
    const stamp = (sequence: number) => ({ producer: { subject: "s", id: 1n, epoch: 0, sequence } });
    // The second append does not fit into the group of the first.
    const big = run("x".repeat(4_000_000));
    const tries = [
      log.append(big, stamp(0)),
      log.append(big, stamp(1)),
      log.append(run("c"), { expectedOffset: 3 }),
    ];
    await pass(clock, 2000);
    await assert.rejects(log.append(run("d")), isFault("disk-full"));
    assert.deepEqual(await allValues(log), ["a"]);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await pass(clock, 2000);
    const offsets = (await Promise.all(tries)).map(({ firstOffset }) => firstOffset);
    assert.deepEqual(offsets, [1, 2, 3]);
    assert.deepEqual(
      (await allValues(log)).map((value) => value[0]),
      ["a", "x", "x", "c"],
    );
  });

  test("does not prevent that the log is opened and read", async () => {
    const { disk, open } = simMachine(8);
    const log = await open(settings, { reserveBytes: 0 });
    await log.append(run("a"));
    await log.close();
    disk.capacityBytes = 1000;
    const again = await open(settings, options);
    assert.deepEqual(await allValues(again), ["a"]);
    await assert.rejects(again.append(run("b")), isFault("disk-full"));
  });
});

describe("retention", () => {
  test("by bytes: old segments and their files are deleted as new ones are written", async () => {
    const { disk, clock, open } = simMachine(9);
    const log = await open({ segmentStoreBytesMax: 1000, retentionBytes: 3000 });
    for (let n = 0; n < 200; n++) await log.append(run(`${n}`.padEnd(50)));
    await pass(clock, 3000);
    const { bytes, lowest, segments } = await log.describe();
    assert.ok(lowest > 100 && bytes < 5000 && segments.length <= 5);
    assert.ok(disk.list(`${simDirectory}/log`).length <= 10);
    assert.deepEqual(
      (await allValues(log)).map((value) => Number(value)),
      Array.from({ length: 200 - lowest }, (_, n) => n + lowest),
    );
    await log.close();
    const again = await open({ segmentStoreBytesMax: 1000, retentionBytes: 3000 });
    assert.equal((await again.bounds()).lowest, lowest);
  });

  test("by age: a timer deletes expired segments without appends", async () => {
    const { clock, open } = simMachine(10);
    const log = await open({ segmentStoreBytesMax: 300, retentionAgeMs: 60_000 });
    for (let n = 0; n < 10; n++) await log.append(run(`${n}`.padEnd(100)));
    assert.equal((await log.bounds()).lowest, 0);
    clock.advance(30_000);
    await soon();
    assert.equal((await log.bounds()).lowest, 0);
    await pass(clock, 32_000);
    const { lowest, next } = await log.bounds();
    assert.deepEqual([lowest, next], [10, 10]);
  });

  test("by age: the last segment of an idle log expires too, and the offsets continue", async () => {
    const { disk, clock, open } = simMachine(13);
    const files = (): string[] => disk.list(`${simDirectory}/log`);
    const log = await open({ retentionAgeMs: 60_000 });
    for (let n = 0; n < 3; n++) {
      await log.append(run(`${n}`));
      clock.advance(25_000);
      await soon();
    }
    assert.deepEqual(await log.bounds(), { lowest: 0, next: 3 });
    const [first] = files().filter((name) => name.endsWith(".store"));
    // When the timer of the first record fires, a later record still keeps the segment.
    clock.advance(20_000);
    await soon();
    assert.equal((await log.bounds()).lowest, 0);
    for (let seconds = 0; seconds < 40; seconds++) {
      clock.advance(1000);
      await soon();
    }
    assert.deepEqual(await log.bounds(), { lowest: 3, next: 3 });
    assert.ok(!files().includes(first!), "the file is still there");
    assert.equal((await log.append(run("3"))).firstOffset, 3);
    assert.deepEqual(await allValues(log), ["3"]);
    await log.close();
    const again = await open({ retentionAgeMs: 60_000 });
    assert.deepEqual(await again.bounds(), { lowest: 3, next: 4 });
    assert.deepEqual(await allValues(again), ["3"]);
    await again.close();
  });

  test("no record expires within an hour after the clock was set, and later only old records do", async () => {
    const { clock, open } = simMachine(15);
    const log = await open({ retentionAgeMs: 24 * 3_600_000 });
    await log.append(run("new"));
    const passMinutes = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        clock.advance(60_000);
        await soon();
      }
    };
    await passMinutes(20);
    clock.setByMs = 25 * 3_600_000;
    await passMinutes(50);
    assert.deepEqual(await log.bounds(), { lowest: 0, next: 1 });
    clock.setByMs = 0;
    await passMinutes(120);
    assert.deepEqual(await log.bounds(), { lowest: 0, next: 1 });
    await passMinutes(22 * 60);
    assert.deepEqual(await log.bounds(), { lowest: 1, next: 1 });
    await log.close();
  });

  test("a trim of all records deletes the file of the last segment within seconds", async () => {
    const { disk, clock, open } = simMachine(14);
    const log = await open();
    for (let n = 0; n < 30; n++) await log.append(run(`${n}`.padEnd(100)));
    const before = disk.list(`${simDirectory}/log`);
    assert.equal(await log.trim(30), 30);
    await pass(clock, 2000);
    const after = disk.list(`${simDirectory}/log`);
    assert.equal(after.length, 2);
    assert.notDeepEqual(after, before);
    assert.equal((await log.append(run("30"))).firstOffset, 30);
    await log.close();
    assert.deepEqual(await allValues(await open()), ["30"]);
  });

  test("changed settings are replicated, and are in force after a restart", async () => {
    const { open } = simMachine(11);
    await (await open({ retentionBytes: 5000 })).close();
    const log = await open({ retentionBytes: 7000 });
    assert.equal(log.storedLog.state.settings.retentionBytes, 7000);
    // The first entry of each term and two changes of the settings.
    assert.equal(log.storedLog.end.index, 4);
    await log.close();
    assert.equal((await open({ retentionBytes: 7000 })).storedLog.end.index, 5);
  });
});

describe("sync modes", () => {
  test("interval: an append resolves when written, and the sync follows after the interval", async () => {
    const { disk, clock, open } = simMachine(12);
    const log = await open({}, { sync: { intervalMs: 100 } });
    const before = disk.counts.sync;
    await log.append(run("a"));
    await log.append(run("b"));
    assert.equal(disk.counts.sync, before);
    assert.equal((await log.describe()).sync, "interval=100ms");
    clock.advance(100);
    await soon();
    assert.equal(disk.counts.sync, before + 1);
    disk.crash();
    assert.deepEqual(await allValues(await open()), ["a", "b"]);
  });

  test("never: only close syncs, and a crash loses only the end of the log", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk, open } = simMachine(seed);
      const log = await open({}, { sync: "never" });
      for (const value of ["a", "b", "c", "d"]) await log.append(run(value));
      disk.crash();
      const again = await open();
      const found = await allValues(again);
      assert.deepEqual(found, ["a", "b", "c", "d"].slice(0, found.length));
      await again.append(run("e"));
      await again.close();
    }
  });
});

describe("readers", () => {
  test("an idle log has no running timer for its tails", async () => {
    const { clock, open } = simMachine(14);
    const log = await open();
    await log.append(run("a"));
    await soon();
    clock.advance(5000);
    await soon();
    const idle = clock.timers;
    const tails = Array.from({ length: 100 }, () => log.follow(1));
    const ready = tails.map((tail) => tail.ready());
    assert.equal(clock.timers, idle);
    await log.append(run("b"));
    assert.deepEqual(new Set(await Promise.all(ready)), new Set([true]));
    const slices = new Set(tails.map((tail) => tail.take()));
    assert.equal(slices.size, 1, "caught-up tails share one slice");
  });

  test("tails that lag behind in memory share the same buffer", async () => {
    const { open } = simMachine(15);
    const log = await open();
    const tails = [log.follow(0), log.follow(0)];
    for (let n = 0; n < 10; n++) await log.append(run(`${n}`));
    const [one, other] = tails.map((tail) => tail.take()!);
    assert.equal(one, other);
    assert.deepEqual(
      valuesOf(one!),
      Array.from({ length: 10 }, (_, n) => `${n}`),
    );
  });

  test("the deletion of a segment ends a tail in it, not the process", async () => {
    const { open } = simMachine(16);
    const log = await open({ segmentStoreBytesMax: 300 }, { frameCacheBytesMax: 0, openFilesMax: 1 });
    for (let n = 0; n < 20; n++) await log.append(run(`${n}`.padEnd(100)));
    using tail = log.follow(0);
    assert.ok(tail.take(1) !== undefined);
    await log.trim(15);
    await log.append(run("x"));
    assert.throws(() => tail.take(1), isFault("out-of-range"));
    assert.equal((await valueAt(log, 15)).trim(), "15");
  });

  test("open files and mappings stay bounded", async () => {
    const { open } = simMachine(17);
    const log = await open({ segmentStoreBytesMax: 200 }, { frameCacheBytesMax: 0, openFilesMax: 4 });
    for (let n = 0; n < 60; n++) await log.append(run(`${n}`.padEnd(100)));
    for (let n = 0; n < 60; n++) assert.equal((await valueAt(log, n)).trim(), `${n}`);
    assert.ok((await log.describe()).segments.length > 50);
    const { stores, mappings } = log.storedLog.openFiles;
    assert.ok(stores <= 4 && mappings <= 4);
  });

  test("close wakes every tail with false", async () => {
    const { open } = simMachine(18);
    const log = await open();
    const ready = [log.follow(0), log.follow(0)].map((tail) => tail.ready());
    await log.close();
    assert.deepEqual(await Promise.all(ready), [false, false]);
  });

  test("seek by time finds the first record that is not older, across segments", async () => {
    const { clock, open } = simMachine(19);
    const log = await open({ segmentStoreBytesMax: 300 });
    for (let n = 0; n < 30; n++) {
      clock.nowMs = 2_000_000 + 100 * n;
      await log.append(run(`${n}`));
    }
    for (let n = 0; n < 30; n++) {
      assert.equal(await log.seek({ fromTimeMs: 2_000_000 + 100 * n }), n);
      assert.equal(await log.seek({ fromTimeMs: 2_000_000 + 100 * n - 50 }), n);
    }
    assert.equal(await log.seek({ fromTimeMs: 2_003_000 }), 30);
    clock.setByMs = 1 - clock.nowMs;
    const { timestampMs } = await log.append(run("the clock went back"));
    assert.equal(timestampMs, 2_002_900);
  });
});

test("the producer table survives restarts, also with batches in sealed segments", async () => {
  const { open, disk } = simMachine(20);
  const settings = { segmentStoreBytesMax: 300 };
  const log = await open(settings);
  const stamp = (sequence: number) => ({ producer: { subject: "s", id: 5n, epoch: 0, sequence } });
  await log.append(run("once"), stamp(0));
  for (let n = 0; n < 20; n++) await log.append(run(`${n}`));
  disk.crash();
  const again = await open(settings);
  assert.ok((await again.describe()).segments.length > 3);
  assert.deepEqual(
    await again.append(run("once"), stamp(0)).then(({ firstOffset, duplicate }) => [firstOffset, duplicate]),
    [0, true],
  );
  assert.equal((await again.append(run("twice"), stamp(1))).firstOffset, 21);
});

describe("a reader's own buffer", () => {
  test("frames from the disk are read into it and not cached, unless they are in memory or too large for it", async () => {
    const { open } = simMachine("buffer");
    const log = await open({}, { frameCacheBytesMax: 0 });
    for (let n = 0; n < 10; n++) await log.append(run(`${n}`.repeat(100)));
    const buffer = new Uint8Array(1024);
    using tail = log.follow(0);
    const first = tail.take(400, buffer);
    assert.ok(first !== undefined && first.frames.buffer === buffer.buffer);
    const values = valuesOf(first);
    assert.deepEqual(values, ["0".repeat(100), "1".repeat(100)]);
    buffer.fill(0);
    using other = log.follow(0);
    const again = other.take(400);
    assert.ok(again !== undefined);
    assert.notEqual(again.frames.buffer, buffer.buffer);
    assert.deepEqual(valuesOf(again), values);
    using third = log.follow(0);
    assert.equal(third.take(400, buffer), again, "a range that was read before is shared");
    const small = new Uint8Array(10);
    const whole = tail.take(400, small);
    assert.ok(whole !== undefined && whole.frames.buffer !== small.buffer);
    assert.deepEqual(valuesOf(whole)[0], "2".repeat(100));
  });
});
