import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Disk, DiskFile, OpenMode } from "../../src/lib/disk/disk.ts";
import { systemDisk } from "../../src/lib/disk/system-disk.ts";
import { RecordCursor } from "../../src/log/mod.ts";
import { run } from "../support/log/logs.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { scratchDirectory } from "../support/scratch.ts";

const MiB = 2 ** 20;
const segmentBytes = 64 * MiB;
setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** The system's disk with counters of opened files and read bytes. */
function countingDisk(): { disk: Disk; counts: { opened: number; bytes: number } } {
  const counts = { opened: 0, bytes: 0 };
  const disk: Disk = {
    ...systemDisk,
    open(path: string, mode: OpenMode): DiskFile {
      counts.opened++;
      const file = systemDisk.open(path, mode);
      return {
        path,
        size: () => file.size(),
        read(target, position) {
          const found = file.read(target, position);
          counts.bytes += found;
          return found;
        },
        write: (bytes, position) => file.write(bytes, position),
        writeAsync: (bytes, position) => file.writeAsync(bytes, position),
        writeSyncedAsync: (bytes, position) => file.writeSyncedAsync(bytes, position),
        sync: () => file.sync(),
        syncAsync: () => file.syncAsync(),
        truncate: (bytes) => file.truncate(bytes),
        preallocate: (bytes) => file.preallocate(bytes),
        close: () => file.close(),
      };
    },
  };
  return { disk, counts };
}

test("opening a log of 2 GiB reads as much as one of 100 MiB", async (t) => {
  const opened: { size: string; segments: number; files: number; readMiB: number; ms: number }[] = [];
  for (const [size, bytes] of [
    ["100 MiB", 100 * MiB],
    ["2 GiB", 2048 * MiB],
  ] as const) {
    using scratch = scratchDirectory();
    const batch = run(...Array.from({ length: 640 }, (_, n) => `${n}`.padEnd(1000)));
    {
      await using made = await openOneNode(scratch.path, {}, { sync: "never", frameCacheBytesMax: 0 });
      for (let written = 0; written < bytes; written += batch.bytes.length) await made.append(batch);
    }
    const { disk, counts } = countingDisk();
    const began = performance.now();
    await using found = await openOneNode(scratch.path, {}, { disk, sync: "never" });
    const ms = Math.round(performance.now() - began);
    const { recovery, segments } = found.storedLog;
    assert.ok(recovery.scannedBytes <= segmentBytes);
    assert.ok(recovery.checkedBytes <= segmentBytes);
    assert.ok(recovery.joinedSegments <= 64);
    // In addition to the two budgets: the head of a frame per segment boundary, and a footer per index.
    assert.ok(counts.bytes <= 2 * segmentBytes + 4 * MiB, `${size}: ${counts.bytes} bytes were read`);
    assert.ok(counts.opened <= 64 + 32, `${size}: ${counts.opened} files were opened`);
    const readMiB = Math.round(counts.bytes / MiB);
    opened.push({ size, segments: segments.length, files: counts.opened, readMiB, ms });
  }
  for (const line of opened) t.diagnostic(JSON.stringify(line));
});

test("ten million records are written and read without growth of the heap after the first million", async (t) => {
  using scratch = scratchDirectory();
  const perBatch = 1000;
  const million = 1_000_000;
  const batch = run(...Array.from({ length: perBatch }, (_, n) => `${n}`.padEnd(100)));
  await using opened = await openOneNode(scratch.path, {}, { sync: "never" });
  const { storedLog } = opened;
  const { log } = opened.replica;
  const held = (): number => {
    gc();
    const { heapUsed, external } = process.memoryUsage();
    return Math.round((heapUsed + external) / MiB);
  };
  const writing: number[] = [];
  for (let records = perBatch; records <= 10 * million; records += perBatch) {
    await log.append(batch);
    if (records % million === 0) writing.push(held());
  }
  assert.equal((await log.bounds()).next, 10 * million);
  const reading: number[] = [];
  using tail = log.follow(0);
  let seen = 0;
  while (seen < 10 * million) {
    const slice = tail.take();
    assert.ok(slice !== undefined);
    const cursor = new RecordCursor(slice.frames, seen);
    while (cursor.next()) {
      assert.equal(cursor.offset, seen);
      seen++;
      if (seen % million === 0) reading.push(held());
    }
  }
  t.diagnostic(`MiB held after each million written: ${writing.join(" ")}, read: ${reading.join(" ")}`);
  // Buffers come and go between two measurements, so single ones are high or low. Memory that is kept raises both the
  // lowest of five and the median.
  const sorted = (held: readonly number[]): number[] => [...held].sort((a, b) => a - b);
  const grown = (held: readonly number[]): number => {
    const [before, after] = [sorted(held.slice(0, 5)), sorted(held.slice(5))];
    return Math.min(after[0]! - before[0]!, after[2]! - before[2]!);
  };
  assert.ok(grown(writing) <= 8, `${grown(writing)} MiB more with the second five million written`);
  assert.ok(grown(reading) <= 24, `${grown(reading)} MiB more with the second five million read`);
  assert.ok(storedLog.openFiles.mappings <= 64);
});
