import assert from "node:assert/strict";
import { test } from "node:test";
import { heapMapper } from "../../../src/lib/disk/mapped-file.ts";
import { prng } from "../../../src/lib/prng.ts";
import {
  batchKind,
  defaultSettings,
  encodeFrame,
  encodeLogCommand,
  encodeSettings,
  verifyLog,
} from "../../../src/log/mod.ts";
import { RefusingDisk } from "../../support/disk/refusing-disk.ts";
import { directoryOf } from "../../support/log/closed-log.ts";
import { run, simMachine, valuesOf } from "../../support/log/logs.ts";

interface Batch {
  readonly index: number;
  readonly id: number;
  readonly values: readonly string[];
}

/** The offset at which a log continues after these batches. */
const nextOf = (batches: readonly Batch[], id: number): number =>
  batches.filter((batch) => batch.id === id).reduce((next, { values }) => next + values.length, 0);

test("a segment begins under the name of one whose files cannot be removed", () => {
  for (const code of ["EIO", "EACCES"]) {
    const machine = simMachine(`reused ${code}`);
    const disk = new RefusingDisk(machine.disk);
    const turns: (() => void)[] = [];
    const { clock } = machine;
    clock.soon = (callback) => void turns.push(callback);
    const open = () => machine.openStored({ disk, frameCacheBytesMax: 0, mapper: heapMapper(disk) });
    let log = open();
    const stage = (kind: number, logId: number, payload: Uint8Array, recordCount = 0, baseOffset = 0) => {
      const { index, crc } = log.end;
      const header = { index: index + 1, term: 1, baseOffset, timestampMs: 1000 + index, recordCount, logId };
      log.stage(encodeFrame({ ...header, kind: kind as 0 }, payload, crc));
    };
    const settings = { ...defaultSettings, segmentStoreBytesMax: 300 };
    stage(batchKind.settings, 0, encodeSettings(settings));
    stage(batchKind.level, 0, encodeLogCommand({ level: 1, life: 5 }));
    stage(batchKind.createLog, 1, Buffer.from(encodeLogCommand({ name: "one", settings: {} })));
    log.flushNow();
    log.commitTo(log.end.index);
    const from = log.end.index + 1;
    const appendAll = (word: string): void => {
      for (let n = 0; n < 12; n++) stage(batchKind.data, 1, run(`${word} ${n}`).bytes, 1, n);
      log.flushNow();
    };
    appendAll("cut");
    const before = log.segments.length;
    assert.ok(before >= 3, "segments are cut off");
    log.truncateSuffix(from);
    disk.refuse = (operation) => (operation === "remove" ? code : undefined);
    appendAll("kept");
    assert.ok(disk.refused.length > 0, "a file could not be removed");
    assert.equal(log.failure, undefined);
    disk.refuse = () => undefined;
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn();
    log.commitTo(log.end.index);
    const check = (): void => {
      const view = log.view(1);
      const values: string[] = [];
      for (let offset = 0; offset < 12; offset++)
        values.push(...valuesOf(view.read(offset), offset).slice(0, 1));
      assert.deepEqual(
        values,
        Array.from({ length: 12 }, (_, n) => `kept ${n}`),
      );
    };
    check();
    log.close();
    assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
    log = open();
    check();
    log.close();
  }
});

test("written frames of named logs that are cut off leave nothing behind, over many small segments", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = prng(`cut/${seed}`);
    const machine = simMachine(seed);
    const options = { frameCacheBytesMax: 0, openFilesMax: 2 };
    let log = machine.openStored(options);
    let term = 1;
    let batches: Batch[] = [];
    const stage = (
      kind: Batch["id"],
      id: number,
      payload: Uint8Array,
      recordCount: number,
      base: number,
    ): void => {
      const { end } = log;
      const header = {
        index: end.index + 1,
        term,
        baseOffset: base,
        timestampMs: 1000 + end.index,
        recordCount,
        kind: kind as 0,
        logId: id,
      };
      log.stage(encodeFrame(header, payload, end.crc));
    };
    const settings = encodeSettings({ ...defaultSettings, segmentStoreBytesMax: random.pick([300, 1000]) });
    stage(batchKind.settings, 0, settings, 0, 0);
    stage(batchKind.level, 0, encodeLogCommand({ level: 1, life: 5 }), 0, 0);
    for (const id of [1, 2])
      stage(batchKind.createLog, id, Buffer.from(encodeLogCommand({ name: `${id}`, settings: {} })), 0, 0);
    log.flushNow();
    log.commitTo(log.end.index);
    for (let step = 0; step < 60; step++) {
      const draw = random.float();
      if (draw < 0.5) {
        for (let n = random.between(1, 4); n > 0; n--) {
          const id = random.between(0, 2);
          const values = Array.from({ length: random.between(1, 3) }, (_, k) => `${seed}.${step}.${n}.${k}`);
          stage(batchKind.data, id, run(...values).bytes, values.length, nextOf(batches, id));
          batches.push({ index: log.end.index, id, values });
        }
        if (random.chance(0.8)) log.flushNow();
      } else if (draw < 0.7) {
        const from = random.between(log.commitIndex + 1, log.end.index + 1);
        log.truncateSuffix(from);
        term++;
        batches = batches.filter(({ index }) => index < from);
      } else if (draw < 0.9) {
        log.flushNow();
        log.commitTo(random.between(log.commitIndex, log.end.index));
      } else {
        log.flushNow();
        log.close();
        log = machine.openStored(options);
      }
      for (const id of [1, 2]) {
        const expected = batches
          .filter((batch) => batch.id === id && batch.index <= log.commitIndex)
          .flatMap(({ values }) => values);
        const view = log.view(id);
        assert.deepEqual(view.bounds, { lowest: 0, next: expected.length });
        for (const [offset, value] of expected.entries())
          assert.equal(valuesOf(view.read(offset), offset)[0], value);
        assert.equal(log.state.logs.stagedRow(id)?.next, nextOf(batches, id));
      }
    }
    log.close();
  }
});
