import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../src/lib/prng.ts";
import {
  batchKind,
  defaultSettings,
  encodeFrame,
  encodeLogCommand,
  encodeSettings,
} from "../../../src/log/mod.ts";
import { run, simMachine, valuesOf } from "../../support/log/logs.ts";

interface Batch {
  readonly index: number;
  readonly id: number;
  readonly values: readonly string[];
}

/** The offset at which a log continues after these batches. */
const nextOf = (batches: readonly Batch[], id: number): number =>
  batches.filter((batch) => batch.id === id).reduce((next, { values }) => next + values.length, 0);

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
