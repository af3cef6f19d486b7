/**
 * Segments that begin and end meet an error of the disk at each of their calls, one call in each run: stores, indexes, log indexes,
 * the files of producers, and the catalog. What was acknowledged is there after a power failure, and nothing is damaged.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import {
  batchKind,
  defaultSettings,
  encodeFrame,
  encodeLogCommand,
  encodeSettings,
  type SegmentedLog,
  verifyLog,
} from "../../../../src/log/mod.ts";
import type { ProducerStamp } from "../../../../src/types.ts";
import { RefusingDisk } from "../../../support/disk/refusing-disk.ts";
import { directoryOf } from "../../../support/log/closed-log.ts";
import { run, type SimMachine, simDirectory, simMachine, valuesOf } from "../../../support/log/logs.ts";

const batches = 16;
const word = (n: number): string => `value ${n}`;

interface Run {
  /** The call that failed; undefined if there was none. */
  readonly failed: { readonly operation: string; readonly path: string } | undefined;
  readonly failure: Fault | undefined;
  readonly sealed: number;
}

/** Batches of two named logs and of two producers, over several segments. The n-th call fails once. */
async function rolls(code: string, n: number): Promise<Run> {
  const machine = simMachine(`rolls ${code} ${n}`);
  const disk = new RefusingDisk(machine.disk);
  let calls = -1;
  let failed: Run["failed"];
  disk.refuse = (operation, path) => {
    if (calls < 0 || operation === "read" || calls++ !== n) return undefined;
    failed = { operation, path };
    return code;
  };
  const store = Object.assign(Object.create(machine.store) as SimMachine["store"], {
    get: (key: string) => machine.store.get(key),
    keys: (prefix: string) => machine.store.keys(prefix),
    write: (changes: Readonly<Record<string, unknown>>) => {
      if (disk.refuse("write", `${simDirectory}/meta`) !== undefined)
        throw Object.assign(new Error(code), { code });
      machine.store.write(changes);
    },
  });
  const options = { disk, store, mapper: heapMapper(disk), inlineProducersMax: 1, rowStore: undefined! };
  const log = machine.openStored(options);
  stageStart(log);
  log.flushNow();
  log.commitTo(log.end.index);
  calls = 0;
  let acknowledged = log.end.index;
  for (let k = 0; k < batches && log.failure === undefined; k++) {
    stageBatch(log, k);
    if (!flushed(log)) break;
    acknowledged = log.end.index;
    log.commitTo(acknowledged);
    await log.rows.settled();
  }
  machine.clock.advance(2000);
  await log.rows.settled();
  calls = -1;
  const { failure } = log;
  const sealed = log.sealed.length;
  machine.disk.crash();
  check(machine, acknowledged);
  return { failed, failure, sealed };
}

/** Writes what is staged, again if the disk refuses it. Returns false if the log failed. */
function flushed(log: SegmentedLog): boolean {
  for (let left = 3; left > 0; left--) {
    try {
      log.flushNow();
      return true;
    } catch (reason) {
      assert.ok(reason instanceof Fault, String(reason));
      if (reason.kind === "disk-failed") return false;
      assert.ok(["disk-full", "disk-busy"].includes(reason.kind), reason.kind);
    }
  }
  throw new Error("one failed call refuses one write");
}

function stage(
  log: SegmentedLog,
  kind: number,
  payload: Uint8Array,
  logId = 0,
  baseOffset = 0,
  producer?: ProducerStamp,
): void {
  const { index, crc } = log.end;
  const recordCount = kind === batchKind.data ? 1 : 0;
  const header = { index: index + 1, term: 1, baseOffset, timestampMs: 1000 + index, recordCount, logId };
  log.stage(encodeFrame({ ...header, kind: kind as 0 }, payload, crc, producer));
}

function stageStart(log: SegmentedLog): void {
  stage(log, batchKind.settings, encodeSettings({ ...defaultSettings, segmentStoreBytesMax: 500 }));
  stage(log, batchKind.level, encodeLogCommand({ level: 1, life: 5 }));
  for (const id of [1, 2])
    stage(log, batchKind.createLog, Buffer.from(encodeLogCommand({ name: `${id}`, settings: {} })), id);
}

function stageBatch(log: SegmentedLog, k: number): void {
  const id = 1 + (k % 2);
  const offset = Math.floor(k / 2);
  const producer = { subject: "s", id: BigInt(k % 4), epoch: 0, sequence: Math.floor(k / 4) };
  stage(log, batchKind.data, run(word(k)).bytes, id, offset, producer);
}

/** Opens the log after a power failure. */
function check(machine: SimMachine, acknowledged: number): void {
  const log = machine.openStored({ inlineProducersMax: 1 });
  assert.ok(
    log.end.index >= acknowledged,
    `the log ends at ${log.end.index}, ${acknowledged} was acknowledged`,
  );
  log.commitTo(log.end.index);
  for (let k = 0; k < log.end.index - 4; k++) {
    const offset = Math.floor(k / 2);
    const [value] = valuesOf(log.view(1 + (k % 2)).read(offset), offset);
    assert.equal(value, word(k));
  }
  assert.equal(log.state.producers.size, Math.min(4, log.end.index - 4));
  log.close();
  assert.deepEqual(verifyLog(directoryOf(machine)).findings, []);
}

for (const code of ["ENOSPC", "EMFILE", "EIO"]) {
  test(`segments that roll survive ${code} at each call`, async () => {
    let faults = 0;
    for (let n = 0; ; n++) {
      const { failed, failure, sealed } = await rolls(code, n);
      if (failed === undefined) {
        assert.ok(sealed >= 3, `${sealed} segments ended`);
        break;
      }
      faults++;
      const at = `${code}, call ${n}: ${failed.operation} ${failed.path}`;
      const isSync = failed.operation === "sync" || failed.operation === "sync-directory";
      if (isSync) assert.ok(failure instanceof Fault && failure.kind === "disk-failed", at);
      else if (code !== "EIO") assert.equal(failure, undefined, at);
      assert.ok(n < 1000);
    }
    assert.ok(faults > 80, `${faults} faults`);
  });
}
