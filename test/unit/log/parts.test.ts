/** The small parts of the log room that no other file's tests pin down. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault, type FaultKind } from "../../../src/fault.ts";
import { Broadcast } from "../../../src/lib/broadcast.ts";
import { GroupBufferPool } from "../../../src/log/append/group-buffer-pool.ts";
import { GroupBuilder } from "../../../src/log/append/group-builder.ts";
import { checkSettings } from "../../../src/log/frame/command.ts";
import {
  batchKind,
  chainStart,
  checkFrame,
  decodeSettings,
  decodeTrim,
  defaultSettings,
  emptyCheckpoint,
  encodeFrame,
  encodeSettings,
  encodeTrim,
  frameBaseOffset,
  frameProducer,
  frameRecordCount,
  LogState,
  nextExpiryMs,
  retentionOffset,
  runBytesMax,
} from "../../../src/log/mod.ts";
import { ActiveIndex, wholeBatchBytes } from "../../../src/log/segment/offset-index.ts";
import { mustRoll } from "../../../src/log/segment/roll-policy.ts";
import { ProducerTable } from "../../../src/log/state/producer-table.ts";
import type { ProducerStamp } from "../../../src/types.ts";
import { run } from "../../support/logs.ts";
import { sealGroup } from "../../support/seal-group.ts";

const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean =>
    reason instanceof Fault && reason.kind === kind;

describe("commands", () => {
  test("trim and settings come back", () => {
    for (const before of [0, 1, 127, 128, 2 ** 40]) assert.equal(decodeTrim(encodeTrim(before)), before);
    assert.throws(() => decodeTrim(Uint8Array.of(8)), isFault("corrupt"));
    const settings = { ...defaultSettings, retentionBytes: 7 };
    assert.deepEqual(decodeSettings(encodeSettings(settings)), settings);
    assert.deepEqual(decodeSettings(Buffer.from('{"retentionBytes":7,"later":1}')), settings);
  });

  test("settings out of range are named", () => {
    checkSettings(defaultSettings);
    for (const wrong of [
      { segmentStoreBytesMax: 0 },
      { segmentAgeMaxMs: 49 * 86_400_000 },
      { retentionBytes: 0.5 },
    ]) {
      assert.throws(
        () => checkSettings({ ...defaultSettings, ...wrong }),
        (reason) => {
          assert.ok(reason instanceof Fault && reason.kind === "config");
          assert.equal(reason.facts["setting"], Object.keys(wrong)[0]);
          return true;
        },
      );
    }
  });
});

describe("a group", () => {
  const stamp = (sequence: number, id = 1n): ProducerStamp => ({ subject: "s", id, epoch: 0, sequence });

  function build(...appends: [values: string[], producer?: ProducerStamp | undefined, alone?: boolean][]) {
    const builder = new GroupBuilder(100);
    const places = appends.map(([values, producer, alone]) =>
      builder.add(run(...values), producer, alone ?? false),
    );
    const { group, end } = sealGroup(builder, { ...chainStart, nextOffset: 10 }, 1, 5);
    const starts = group.positions.slice(0, -1);
    for (const at of starts) assert.equal(checkFrame(group.bytes, at, group.bytes.length), undefined);
    const counts = starts.map((at) => frameRecordCount(group.bytes, at));
    const bases = starts.map((at) => frameBaseOffset(group.bytes, at));
    const producers = starts.map((at) => frameProducer(group.bytes, at)?.sequence);
    return { places, counts, bases, producers, end };
  }

  test("coalesces neighbours of no producer", () => {
    const { places, counts, bases, end } = build([["a"]], [["b", "c"]], [["d"]]);
    assert.deepEqual([places, counts, bases], [[0, 1, 3], [4], [10]]);
    assert.deepEqual([end.index, end.nextOffset], [1, 14]);
  });

  test("coalesces a producer's contiguous appends, and nobody else's with them", () => {
    const { counts, producers } = build(
      [["a"], stamp(0)],
      [["b"], stamp(1)],
      [["c"], stamp(0, 2n)],
      [["d"]],
      [["e"], stamp(2)],
      [["f"], stamp(9)],
    );
    assert.deepEqual(counts, [2, 1, 1, 1, 1]);
    assert.deepEqual(producers, [0, 0, undefined, 2, 9]);
  });

  test("leaves an append with an expected offset by itself", () => {
    assert.deepEqual(build([["a"]], [["b"], undefined, true], [["c"]], [["d"]]).counts, [1, 1, 2]);
  });

  test("ends a batch at 1,024 records or 64 KiB, but not an append", () => {
    const many = Array.from({ length: 1500 }, () => "x");
    assert.deepEqual(build([many], [["a"]], [["b"]]).counts, [1500, 2]);
    assert.deepEqual(build([["y".repeat(40_000)]], [["z".repeat(40_000)]], [["a"]]).counts, [1, 2]);
  });

  test("shares memory with the groups before and after it, and no byte of it", () => {
    const memory = new GroupBufferPool();
    const kept = [];
    for (let n = 0; n < 60; n++) {
      const builder = new GroupBuilder(100, memory);
      // Some outgrow what they asked for, and some the slab they began in.
      for (let more = 0; more <= n % 7; more++)
        builder.add(run(`${n}`.repeat(n * 97)), undefined, more % 2 === 0);
      const sealed = sealGroup(builder, chainStart, 1, 5).group;
      kept.push({ sealed, copy: Buffer.from(sealed.bytes) });
    }
    for (const { sealed, copy } of kept) {
      assert.equal(Buffer.compare(sealed.bytes, copy), 0);
      assert.equal(checkFrame(sealed.bytes, 0, sealed.bytes.length), undefined);
    }
    assert.ok(new Set(kept.map(({ sealed }) => sealed.bytes.buffer)).size < 10);
  });

  test("has room for the largest run there may be", () => {
    const builder = new GroupBuilder(0);
    assert.ok(builder.fits(runBytesMax));
    builder.add(run("x".repeat(runBytesMax - 10)), { ...stamp(0), subject: "s".repeat(255) }, false);
    assert.ok(!builder.fits(runBytesMax));
    sealGroup(builder, chainStart, 1, 0);
  });
});

describe("the producer table", () => {
  const settings = { ...defaultSettings, producersMax: 4, producersPerSubjectMax: 2, producerAgeMaxMs: 100 };
  const stamp = (id: number, sequence: number, subject = "s"): ProducerStamp => ({
    subject,
    id: BigInt(id),
    epoch: 0,
    sequence,
  });
  const batch = (index: number, sequence: number, timestampMs = 0) => ({
    index,
    sequence,
    count: 1,
    firstOffset: index,
    timestampMs,
  });

  test("what is staged counts at once, and is taken back when it is cut off", () => {
    const table = new ProducerTable();
    table.stage(stamp(1, 0), batch(1, 0));
    table.stage(stamp(1, 1), batch(2, 1));
    assert.deepEqual(table.check(stamp(1, 2), 1, 0, settings), { append: true });
    table.commitTo(1, settings);
    table.truncate(2);
    assert.deepEqual(table.check(stamp(1, 1), 1, 0, settings), { append: true });
    assert.throws(() => table.check(stamp(1, 2), 1, 0, settings), isFault("out-of-sequence"));
    assert.deepEqual(table.check(stamp(1, 0), 1, 0, settings), { duplicate: batch(1, 0) });
  });

  test("caps hold for all subjects and for one", () => {
    const table = new ProducerTable();
    table.stage(stamp(1, 0), batch(1, 0));
    table.commitTo(1, settings);
    table.stage(stamp(2, 0), batch(2, 0));
    assert.throws(() => table.check(stamp(3, 0), 1, 0, settings), isFault("too-many-producers"));
    assert.deepEqual(table.check(stamp(3, 0, "t"), 1, 0, settings), { append: true });
    table.stage(stamp(1, 0, "t"), batch(3, 0));
    table.stage(stamp(1, 0, "u"), batch(4, 0));
    assert.throws(() => table.check(stamp(1, 0, "v"), 1, 0, settings), isFault("too-many-producers"));
    assert.deepEqual(table.check(stamp(1, 1), 1, 0, settings), { append: true });
  });

  test("time in the log, not the clock, makes it forget", () => {
    const table = new ProducerTable();
    table.stage(stamp(1, 0), batch(1, 0, 1000));
    table.stage(stamp(2, 0), batch(2, 0, 1100));
    table.commitTo(2, settings);
    assert.equal(table.size, 2);
    assert.throws(() => table.check(stamp(1, 1), 1, 1101, settings), isFault("unknown-producer"));
    table.stage(stamp(2, 1), batch(3, 1, 1101));
    table.commitTo(3, settings);
    assert.equal(table.size, 1);
    assert.deepEqual(
      table.rows().map(([, id]) => id),
      [2n],
    );
    assert.deepEqual(new ProducerTable(table.rows()).rows(), table.rows());
  });

  test("a leap of the log's time does not make it forget the producers of the latest entries", () => {
    const roomy = { ...settings, producersMax: 10_000, producersPerSubjectMax: 1_000 };
    const table = new ProducerTable();
    table.stage(stamp(1, 0), batch(1, 0, 1000));
    table.stage(stamp(2, 0), batch(2, 0, 1_000_000));
    table.commitTo(2, roomy);
    assert.deepEqual(table.check(stamp(1, 1), 1, 1_000_000, roomy), { append: true });
    assert.deepEqual(table.check(stamp(1, 0), 1, 1_000_000, roomy), { duplicate: batch(1, 0, 1000) });
    table.stage(stamp(2, 1), batch(251, 1, 1_000_000));
    assert.throws(() => table.check(stamp(1, 1), 1, 1_000_000, roomy), isFault("unknown-producer"));
    table.commitTo(251, roomy);
    assert.equal(table.size, 1);
  });

  test("remembers five batches", () => {
    const table = new ProducerTable();
    for (let n = 0; n < 9; n++) table.stage(stamp(1, n), batch(n + 1, n));
    table.commitTo(9, settings);
    assert.deepEqual(
      table.rows()[0]![3].map(([index]) => index),
      [5, 6, 7, 8, 9],
    );
  });
});

describe("the state", () => {
  test("a checkpoint of an uncommitted index is what committing it would give", () => {
    const builder = new GroupBuilder(100);
    builder.addCommand(batchKind.settings, encodeSettings({ ...defaultSettings, retentionBytes: 5 }));
    builder.add(run("a", "b"), { subject: "s", id: 1n, epoch: 0, sequence: 0 }, false);
    builder.addCommand(batchKind.trim, encodeTrim(1));
    builder.addCommand(batchKind.configuration, Uint8Array.of(1, 2));
    builder.addCommand(batchKind.trim, encodeTrim(900));
    const { group } = sealGroup(builder, { ...chainStart, nextOffset: 0 }, 1, 5);
    const state = LogState.from(emptyCheckpoint);
    for (const at of group.positions.slice(0, -1)) state.stage(group.bytes, at);
    assert.equal(state.lowest, 0);
    assert.equal(state.settings.retentionBytes, 5);
    assert.equal(state.settingsAt(1).retentionBytes, 0);
    const foretold = [0, 1, 2, 3, 4, 5].map((index) => state.checkpointAt(index));
    assert.deepEqual(
      foretold.map(({ lowest }) => lowest),
      [0, 0, 0, 1, 1, 2],
    );
    for (const [index, checkpoint] of foretold.entries()) {
      state.commitTo(index);
      assert.deepEqual(state.checkpointAt(index), checkpoint);
      assert.deepEqual(LogState.from(checkpoint).checkpointAt(index), checkpoint);
    }
    assert.deepEqual(state.configuration, { index: 4, command: Uint8Array.of(1, 2) });
    assert.throws(() => state.truncate(5));
  });
});

describe("retention", () => {
  const segment = (nextOffset: number) => ({ bytes: 100, nextOffset, lastTimestampMs: nextOffset * 100 });
  const sealed = [10, 20, 30].map(segment);
  const active = { ...segment(40), bytes: 50 };
  const by = (settings: Partial<typeof defaultSettings>) => ({ ...defaultSettings, ...settings });
  const log = (lowest = 0, activeCommitted = true) => ({ sealed, active, activeCommitted, lowest });

  test("by bytes: whole segments from the front until the rest fits, never the last", () => {
    const offset = (retentionBytes: number, lowest = 0): number =>
      retentionOffset(log(lowest), by({ retentionBytes }), 0);
    assert.deepEqual(
      [0, 350, 349, 250, 249, 1].map((bytes) => offset(bytes)),
      [0, 0, 10, 10, 20, 30],
    );
    assert.equal(offset(349, 15), 15);
  });

  test("by age: segments whose newest record is too old, the last one too", () => {
    const settings = by({ retentionAgeMs: 500 });
    const offsets = (activeCommitted: boolean): number[] =>
      [1500, 1501, 2501, 4500, 9999].map((now) => retentionOffset(log(0, activeCommitted), settings, now));
    assert.deepEqual(offsets(true), [0, 10, 20, 30, 40]);
    assert.deepEqual(offsets(false), [0, 10, 20, 30, 30]);
    assert.equal(nextExpiryMs(log(), settings), 1501);
    assert.equal(nextExpiryMs(log(30), settings), 4501);
    assert.equal(nextExpiryMs(log(30, false), settings), undefined);
    assert.equal(nextExpiryMs(log(40), settings), undefined);
    assert.equal(nextExpiryMs(log(), defaultSettings), undefined);
  });
});

describe("rolling", () => {
  const base = { index: 1, offset: 10, timestampMs: 1000 };
  const fill = { base, bytes: 500, entries: 3 };
  const frame = (kind: 0 | 3, timestampMs: number, payload: Uint8Array): Uint8Array =>
    encodeFrame(
      { index: 4, term: 1, baseOffset: 20, timestampMs, recordCount: kind === 0 ? 1 : 0, kind },
      payload,
      7,
    );
  const rolls = (bytes: Uint8Array, settings: Partial<typeof defaultSettings> = {}): boolean =>
    mustRoll(fill, bytes, 0, { ...defaultSettings, ...settings });

  test("a trim of all that is before it begins a segment, one of less does not", () => {
    assert.equal(rolls(frame(3, 1000, encodeTrim(20))), true);
    assert.equal(rolls(frame(3, 1000, encodeTrim(21))), true);
    assert.equal(rolls(frame(3, 1000, encodeTrim(19))), false);
    const nothing = { base: { ...base, offset: 20 }, bytes: 500, entries: 3 };
    assert.equal(mustRoll(nothing, frame(3, 1000, encodeTrim(20)), 0, defaultSettings), false);
  });

  test("a segment spans no more time than records are kept for, or a second", () => {
    const data = (timestampMs: number): Uint8Array => frame(0, timestampMs, run("x").bytes as Uint8Array);
    assert.equal(rolls(data(6001)), false);
    assert.equal(rolls(data(6000), { retentionAgeMs: 5000 }), false);
    assert.equal(rolls(data(6001), { retentionAgeMs: 5000 }), true);
    assert.equal(rolls(data(2000), { retentionAgeMs: 5 }), false);
    assert.equal(rolls(data(2001), { retentionAgeMs: 5 }), true);
    assert.equal(rolls(data(1101), { retentionAgeMs: 5000, segmentAgeMaxMs: 100 }), true);
  });
});

describe("how much is read at once", () => {
  const index = new ActiveIndex({ index: 1, offset: 0, timestampMs: 0 });
  for (const [k, position] of [0, 100, 250, 900].entries()) index.append(k, position, 1, 0);

  test("whole batches, as many as fit, and all that is left when that fits", () => {
    assert.equal(wholeBatchBytes(index, 0, 250, 1000), 250);
    assert.equal(wholeBatchBytes(index, 0, 899, 1000), 250);
    assert.equal(wholeBatchBytes(index, 0, 900, 1000), 900);
    assert.equal(wholeBatchBytes(index, 0, 999, 1000), 900);
    assert.equal(wholeBatchBytes(index, 0, 1000, 1000), 1000);
    assert.equal(wholeBatchBytes(index, 3, 5000, 1000), 100);
  });

  test("one batch when not even that fits", () => {
    assert.equal(wholeBatchBytes(index, 0, 1, 1000), 100);
    assert.equal(wholeBatchBytes(index, 2, 10, 1000), 650);
    assert.equal(wholeBatchBytes(index, 3, 10, 1000), 100);
  });
});

describe("waking", () => {
  test("a broadcast wakes those who wait now, once", () => {
    const broadcast = new Broadcast();
    const woken: string[] = [];
    broadcast.wait(() => {
      woken.push("a");
      broadcast.wait(() => woken.push("again"));
    });
    const takeBack = broadcast.wait(() => woken.push("b"));
    takeBack();
    broadcast.notify();
    assert.deepEqual(woken, ["a"]);
    assert.equal(broadcast.size, 1);
    broadcast.notify();
    broadcast.notify();
    assert.deepEqual(woken, ["a", "again"]);
  });
});
