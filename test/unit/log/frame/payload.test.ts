/**
 * Frames whose checksum is right and whose content is not: no reader may loop, and each walk over a directory finds them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fault } from "../../../../src/fault.ts";
import {
  type BatchHeader,
  batchKind,
  checkFrame,
  checkPayload,
  decodeRecord,
  defaultSettings,
  encodeFrame,
  encodeRun,
  encodeSettings,
  encodeTrim,
  frameBytes,
  RecordCursor,
  verifyLog,
} from "../../../../src/log/mod.ts";
import { run, type SimMachine, simDirectory, simMachine } from "../../../support/log/logs.ts";

const header: BatchHeader = {
  index: 1,
  term: 1,
  baseOffset: 0,
  timestampMs: 5,
  recordCount: 1,
  kind: batchKind.data,
};
const flawOf = (
  changed: Partial<BatchHeader>,
  payload: readonly number[] | Uint8Array,
): string | undefined => {
  const frame = encodeFrame({ ...header, ...changed }, Uint8Array.from(payload), 0);
  assert.equal(checkFrame(frame, 0, frame.length), undefined);
  return checkPayload(frame, 0);
};
const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";

test("every record of a batch ends inside its frame, and their number is that of the header", () => {
  assert.equal(flawOf({}, encodeRun([{ value: Buffer.from("v"), key: Buffer.from("k") }]).bytes), undefined);
  assert.equal(flawOf({}, [0x0a, 0]), undefined);
  assert.equal(flawOf({ recordCount: 2 }, [0x0a, 0, 0x0a, 0]), undefined);
  const wrong: readonly (readonly number[])[] = [
    [],
    [0x0a],
    [0x0a, 1],
    [0x0a, 0x7f, 0x0a, 0],
    [0x0a, 0xff],
    [0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
    [0x0a, 2, 0x0a, 5],
    [0x0a, 2, 0x10, 5],
    [0x0a, 4, 0x32, 2, 0x0a, 9],
    [0x12, 0],
    [0x0a, 0, 0x0a, 0],
    [0x0a, 0, 0],
  ];
  for (const payload of wrong) assert.equal(flawOf({}, payload), "records", payload.join());
});

test("a command ends where its frame ends and is valid for its kind", () => {
  const trim = { recordCount: 0, kind: batchKind.trim };
  const settings = { recordCount: 0, kind: batchKind.settings };
  assert.equal(flawOf(trim, encodeTrim(7)), undefined);
  assert.equal(flawOf(settings, encodeSettings(defaultSettings)), undefined);
  assert.equal(flawOf({ recordCount: 0, kind: batchKind.noOp }, []), undefined);
  assert.equal(flawOf(trim, [8, 0x80]), "command");
  assert.equal(flawOf(trim, [8, 1, 1]), "command");
  for (const text of [
    "",
    "null",
    "[]x",
    '{"segmentAgeMaxMs":"1"}',
    '{"producersMax":0}',
    '{"retentionBytes":1e99}',
  ])
    assert.equal(flawOf(settings, Buffer.from(text)), "command", text);
  const cut = encodeFrame({ ...header, ...trim }, encodeTrim(7), 0);
  cut[cut.length - 3] = 9; // the command's own length
  assert.equal(checkPayload(cut, 0), "command");
});

test("a walk over any bytes ends with records or with an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(3), (payload, count) => {
      const frame = encodeFrame({ ...header, recordCount: count + 1 }, payload, 0);
      const sound = checkPayload(frame, 0) === undefined;
      let records = 0;
      try {
        const cursor = new RecordCursor(frame);
        while (cursor.next()) {
          decodeRecord(frame, cursor.start, cursor.end);
          records++;
        }
      } catch (reason) {
        assert.ok(isCorrupt(reason));
        assert.ok(!sound);
        return;
      }
      if (sound) assert.equal(records, count + 1);
    }),
    { seed: 7, numRuns: 20_000 },
  );
});

const store = `${simDirectory}/log/00000000000000000001.store`;

/** A log of some records and, behind them, a frame that chains and holds a record which passes its end. */
async function forged(receipts: boolean): Promise<{ machine: SimMachine; position: number }> {
  const machine = simMachine("forged");
  const log = await machine.open();
  await log.append(run("a", "b"));
  await log.append(run("c"));
  const { end } = log.storedLog;
  const { bytes: position } = await log.describe();
  const head = { ...header, index: end.index + 1, baseOffset: end.nextOffset, timestampMs: end.timestampMs };
  const frame = encodeFrame(head, Uint8Array.of(0x0a, 0x7f, 0x0a, 1, 65), end.crc);
  await log.close();
  const file = machine.disk.open(store, "write");
  file.write(frame, position);
  file.sync();
  if (receipts) {
    const index = machine.disk.open(store.replace(".store", ".index"), "write");
    const entry = new DataView(new ArrayBuffer(16));
    for (const [at, value] of [end.nextOffset, position, 1, 0].entries())
      entry.setUint32(4 * at, value, true);
    index.write(new Uint8Array(entry.buffer), index.size());
    index.sync();
  }
  return { machine, position };
}

for (const receipts of [false, true]) {
  test(`opening and verify refuse a frame whose record exceeds it, ${receipts ? "with" : "without"} a receipt`, async () => {
    const { machine, position } = await forged(receipts);
    const { findings, torn } = verifyLog({
      directory: simDirectory,
      disk: machine.disk,
      store: machine.store,
    });
    assert.deepEqual(torn, undefined);
    assert.deepEqual(
      findings.map(({ file, position: at, kind }) => [file, at, kind]),
      [["00000000000000000001.store", position, "records"]],
    );
    const before = machine.disk.contents(store);
    await assert.rejects(machine.open(), (reason) => {
      assert.ok(reason instanceof Fault && reason.kind === "corrupt", String(reason));
      assert.equal(reason.facts["position"], position);
      assert.equal(reason.facts["why"], "records");
      return true;
    });
    assert.deepEqual(machine.disk.contents(store), before);
  });
}

test("a log refuses a frame whose records exceed it, from a leader or a backup", async () => {
  const machine = simMachine("staged");
  const log = await machine.open();
  await log.append(run("a"));
  const { end } = log.storedLog;
  const head = { ...header, index: end.index + 1, baseOffset: end.nextOffset, timestampMs: end.timestampMs };
  const frame = encodeFrame(head, Uint8Array.of(0x0a, 0x7f), end.crc);
  assert.throws(() => log.storedLog.stage(frame), isCorrupt);
  assert.deepEqual(log.storedLog.end, end);
  await log.append(run("b"));
  await log.close();
});

test("a read finds and saves damage in a sealed segment whose checksum is right", async () => {
  const machine = simMachine("sealed");
  const log = await machine.open({ segmentStoreBytesMax: 1000 });
  for (let n = 0; n < 40; n++) await log.append(run(`value ${n}`, "x".repeat(50)));
  await log.close();
  // The first record's length byte, and the frame's checksum with it.
  const bytes = machine.disk.contents(store);
  let at = frameBytes(bytes, 0);
  while (bytes[at + 57] !== batchKind.data) at += frameBytes(bytes, at);
  const end = at + frameBytes(bytes, at);
  bytes[at + 64] = 0x7f;
  const { crc32 } = await import("node:zlib");
  const crc = crc32(bytes.subarray(at + 10, end), crc32(bytes.subarray(at, at + 6)));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + 6, crc, true);
  const opened = await machine.open(
    { segmentStoreBytesMax: 1000 },
    { checkBytesMax: 0, frameCacheBytesMax: 0 },
  );
  const file = machine.disk.open(store, "write");
  file.write(bytes, 0);
  file.sync();
  await assert.rejects(opened.read(0), isCorrupt);
  assert.equal(opened.storedLog.damagedSegments, 1);
  await opened.close();
});
