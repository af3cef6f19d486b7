/** The scenarios of the log chapters of "Distributed Services with Go", on this log. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { heapMapper, systemMapper } from "../../../src/lib/disk/mapped-file.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { scanStore } from "../../../src/log/frame/chain.ts";
import { defaultSettings } from "../../../src/log/frame/command.ts";
import {
  type ChainEnd,
  chainStart,
  encodeFrame,
  frameBytes,
  frameCrc,
  RecordCursor,
  verifyLog,
} from "../../../src/log/mod.ts";
import { ActiveIndex, firstAtOrAfter, lastAtOrBefore } from "../../../src/log/segment/offset-index.ts";
import { mustRoll } from "../../../src/log/segment/roll-policy.ts";
import {
  allValues,
  run,
  scratchDirectory,
  simDirectory,
  simMachine,
  valueAt,
  valuesOf,
} from "../../support/logs.ts";
import { openOneNode } from "../../support/one-node-log.ts";

const write = Buffer.from("hello world");
const frame = (n: number, previousCrc: number, timestampMs = 0): Uint8Array =>
  encodeFrame(
    { index: n + 1, term: 1, baseOffset: n, timestampMs, recordCount: 1, kind: 0 },
    run(String(write)).bytes,
    previousCrc,
  );

describe("store", () => {
  test("append, read: what was appended stands at its position", () => {
    using scratch = scratchDirectory();
    const file = systemDisk.open(`${scratch.path}/store`, "create");
    let position = 0;
    let crc = 0;
    for (let n = 0; n < 4; n++) {
      const bytes = frame(n, crc);
      file.write(bytes, position);
      crc = frameCrc(bytes, 0);
      position += bytes.length;
      assert.equal(file.size(), position);
    }
    const seen: number[] = [];
    const scan = scanStore(file, file.size(), chainStart, (bytes, at, where) => {
      seen.push(where);
      assert.equal(frameBytes(bytes, at), position / 4);
    });
    assert.deepEqual(
      seen,
      [0, 1, 2, 3].map((n) => (n * position) / 4),
    );
    assert.equal(scan.end.index, 4);
    file.close();
  });

  test("close: what was written is in the file, and a closed file refuses", () => {
    using scratch = scratchDirectory();
    const path = `${scratch.path}/store`;
    const file = systemDisk.open(path, "create");
    file.write(frame(0, 0), 0);
    file.close();
    assert.throws(() => file.write(frame(1, 0), 0));
    const again = systemDisk.open(path, "read");
    assert.equal(again.size(), frame(0, 0).length);
    again.close();
  });
});

describe("index", () => {
  const base = { index: 1, offset: 0, timestampMs: 0 };

  test("entries are found by number, by offset and by time", () => {
    const index = new ActiveIndex(base);
    assert.equal(lastAtOrBefore(index, 0), -1);
    for (let n = 0; n < 100; n++) index.append(3 * n, 10 * n, 1, 5 * n);
    for (let n = 0; n < 100; n++) {
      assert.deepEqual([index.offset(n), index.position(n), index.timestampMs(n)], [3 * n, 10 * n, 5 * n]);
      assert.equal(lastAtOrBefore(index, 3 * n + 2), n);
      assert.equal(firstAtOrAfter(index, 5 * n - 4), n);
    }
    assert.equal(firstAtOrAfter(index, 1000), 100);
  });

  test("state is rebuilt from the file: the same entries after a restart", async () => {
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
});

describe("segment", () => {
  const fill = (bytes: number, entries: number) => ({
    base: { index: 1, offset: 0, timestampMs: 0 },
    bytes,
    entries,
  });

  test("maxed by its store, or by its index, or by its age, and not before", () => {
    const next = frame(3, 0, 50);
    const settings = {
      ...defaultSettings,
      segmentStoreBytesMax: 3 * next.length,
      segmentIndexBytesMax: 48,
      segmentAgeMaxMs: 50,
    };
    const rolls = (bytes: number, entries: number): boolean =>
      mustRoll(fill(bytes, entries), next, 0, settings);
    assert.equal(rolls(2 * next.length, 2), false);
    assert.equal(rolls(2 * next.length + 1, 2), true);
    assert.equal(rolls(next.length, 3), true);
    assert.equal(mustRoll(fill(0, 1), frame(3, 0, 51), 0, settings), true);
    assert.equal(mustRoll(fill(0, 0), next, 0, { ...settings, segmentStoreBytesMax: 1 }), false);
  });

  test("rolls early rather than overflow 32 bits, in time, offset or position", () => {
    const over = 2 ** 32;
    assert.equal(
      mustRoll(fill(0, 1), frame(1, 0, over), 0, { ...defaultSettings, segmentAgeMaxMs: 2 * over }),
      true,
    );
    assert.equal(mustRoll(fill(0, 1), frame(over, 0), 0, defaultSettings), true);
    const huge = { ...defaultSettings, segmentStoreBytesMax: 4 * over };
    assert.equal(mustRoll(fill(over, 1), frame(1, 0), 0, huge), true);
  });

  test("removal: trimmed segments' files go, the rest is read as before", async () => {
    const machine = simMachine(2);
    const log = await machine.open({ segmentStoreBytesMax: 300 });
    for (let n = 0; n < 30; n++) await log.append(run(`${n}`));
    const files = machine.disk.list(`${simDirectory}/log`).length;
    await log.trim(20);
    await log.append(run("30"));
    machine.clock.advance(1000);
    assert.ok(machine.disk.list(`${simDirectory}/log`).length < files / 2);
    assert.deepEqual(
      await allValues(log),
      Array.from({ length: 11 }, (_, n) => `${n + 20}`),
    );
    await log.close();
    const again = await machine.open({ segmentStoreBytesMax: 300 });
    assert.deepEqual(await again.bounds(), { lowest: 20, next: 31 });
  });
});

const logScenarios: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  "append and read a record": async (directory) => {
    await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    const { firstOffset } = await opened.append(run(String(write)));
    assert.equal(firstOffset, 0);
    assert.equal(await valueAt(opened, firstOffset), "hello world");
  },
  "offset out of range": async (directory) => {
    await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    await assert.rejects(
      opened.read(1),
      (reason) => reason instanceof Fault && reason.kind === "out-of-range",
    );
  },
  "init with existing segments": async (directory) => {
    {
      await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
      for (let n = 0; n < 3; n++) await opened.append(run(String(write)));
      assert.deepEqual(await opened.bounds(), { lowest: 0, next: 3 });
    }
    await using again = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    assert.deepEqual(await again.bounds(), { lowest: 0, next: 3 });
    assert.ok((await again.describe()).segments.length >= 3);
    assert.equal((await again.append(run("3"))).firstOffset, 3);
  },
  reader: async (directory) => {
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
  truncate: async (directory) => {
    await using opened = await openOneNode(directory, { segmentStoreBytesMax: 32 });
    for (let n = 0; n < 3; n++) await opened.append(run(String(write)));
    await opened.trim(1);
    await assert.rejects(
      opened.read(0),
      (reason) => reason instanceof Fault && reason.kind === "out-of-range",
    );
    assert.equal(await valueAt(opened, 1), "hello world");
  },
  "initial offset": async (directory) => {
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

describe("log", () => {
  for (const [name, scenario] of Object.entries(logScenarios)) {
    test(name, async () => {
      using scratch = scratchDirectory();
      await scenario(scratch.path);
    });
  }

  test("mapped and heap-read indexes answer the same", async () => {
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
});

test("the chain's end is where the next frame follows", () => {
  const first = frame(0, 0);
  const end: ChainEnd = { index: 1, term: 1, nextOffset: 1, timestampMs: 0, crc: frameCrc(first, 0) };
  const bytes = Buffer.concat([first, frame(1, end.crc)]);
  const file = { read: (target: Uint8Array, position: number) => bytes.copy(target, 0, position) };
  assert.equal(scanStore(file, bytes.length, chainStart, () => {}).end.index, 2);
  assert.equal(scanStore(file, bytes.length, { ...end, crc: 1 }, () => {}).flaw, "chain");
});
