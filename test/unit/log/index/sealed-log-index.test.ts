import assert from "node:assert/strict";
import { test } from "node:test";
import { writeU32le, writeU64le } from "../../../../src/lib/bytes.ts";
import { crc32 } from "../../../../src/lib/checksum.ts";
import { heapMapper, type MappedFile } from "../../../../src/lib/disk/mapped-file.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { DamagedPage } from "../../../../src/log/index/index-file.ts";
import { ActiveLogIndex, type LogBatches } from "../../../../src/log/index/log-index.ts";
import {
  encodeLogIndex,
  logIndexSteps,
  SealedLogIndex,
  sameLogs,
} from "../../../../src/log/index/sealed-log-index.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";
import { describedSegment, filledLogs, placesOf } from "../../../support/log/log-indexes.ts";

const { store } = describedSegment;
const places = placesOf(10);

function mapped(bytes: Uint8Array): MappedFile {
  const disk = new SimDisk(prng("log index"));
  disk.makeDirectory("/d");
  const file = disk.open("/d/file", "create");
  file.write(bytes, 0);
  file.close();
  return heapMapper(disk)("/d/file");
}

const encode = (index: ActiveLogIndex): Uint8Array => encodeLogIndex(index, describedSegment, places);

const open = (bytes: Uint8Array, entries: number, other: object = {}): SealedLogIndex | undefined =>
  SealedLogIndex.open(mapped(bytes), { ...describedSegment, ...other }, entries);

const plain = (batches: LogBatches | undefined): unknown =>
  batches && {
    previous: batches.previous,
    entries: Array.from({ length: batches.length }, (_, i) => [batches.ordinal(i), batches.offset(i)]),
  };

const same = (found: SealedLogIndex, expected: ActiveLogIndex, first = 1): boolean =>
  sameLogs(found, expected, places, store.storeBytes, first);

test("a sealed log index holds what the active one held, and where the batches stand", () => {
  const active = filledLogs();
  const sealed = open(encode(active), 4);
  assert.ok(sealed !== undefined);
  assert.deepEqual(sealed.ids(), [5, 300, 0xffff_ffff]);
  for (const id of [5, 300, 0xffff_ffff]) assert.deepEqual(plain(sealed.find(id)), plain(active.find(id)));
  assert.deepEqual(sealed.find(300)!.extent!(0), { position: 1_000, bytes: 3_000 });
  assert.deepEqual(sealed.find(300)!.extent!(1), { position: 9_000, bytes: 7_000 });
  const last = { position: 81_000, bytes: store.storeBytes - 81_000 };
  assert.deepEqual(sealed.find(0xffff_ffff)!.extent!(0), last, "to the end of the store");
  for (const id of [0, 6, 301, 0xffff_fffe]) assert.equal(sealed.find(id), undefined);
  for (const fact of ["ordinal", "offset", "extent"] as const) assert.throws(() => sealed.find(5)![fact]!(1));
  assert.ok(same(sealed, active));
});

test("the logs after an id come in pages", () => {
  const sealed = open(encode(filledLogs()), 4)!;
  assert.deepEqual(
    [-1, 0, 5, 6, 300, 0xffff_ffff].map((id) => sealed.idsAfter(id, 2)),
    [[5, 300], [5, 300], [300, 0xffff_ffff], [300, 0xffff_ffff], [0xffff_ffff], []],
  );
});

test("a file of another segment, store or directory, or with another number of batches, is not taken", () => {
  const bytes = encode(filledLogs());
  assert.ok(open(bytes, 4) !== undefined);
  assert.equal(open(bytes, 4, { first: 8 }), undefined);
  assert.equal(open(bytes, 5), undefined);
  assert.equal(open(bytes, 4, { directoryId: new Uint8Array(16) }), undefined);
  assert.equal(open(bytes, 4, { store: { ...store, storeBytes: 2_999_999_999 } }), undefined);
  assert.equal(open(bytes, 4, { store: { ...store, lastCrc: 1 } }), undefined);
  for (const length of [0, 40, 51, 63, 67, bytes.length - 1])
    assert.equal(open(bytes.subarray(0, length), 4), undefined);
  assert.equal(open(Buffer.concat([bytes, new Uint8Array(4)]), 4), undefined);
});

test("every flipped bit of the file is noticed", () => {
  const bytes = encode(filledLogs());
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const copy = Uint8Array.from(bytes);
    copy[bit >>> 3]! ^= 1 << (bit & 7);
    const found = open(copy, 4);
    if (found === undefined) continue;
    assert.throws(() => found.checkAll(), DamagedPage, `bit ${bit}`);
    assert.throws(() => found.find(5), DamagedPage, `bit ${bit}`);
    assert.throws(() => found.idsAfter(0, 1), DamagedPage, `bit ${bit}`);
  }
});

/** 600 logs with two batches each: the logs take 3.5 pages, the batches 5.9. */
function manyLogs(): { readonly bytes: Uint8Array; readonly body: number } {
  const index = new ActiveLogIndex();
  for (let ordinal = 0; ordinal < 1_200; ordinal++)
    index.append(1 + (ordinal % 600), ordinal, Math.floor(ordinal / 600), () => 0);
  const bytes = encodeLogIndex(index, describedSegment, placesOf(1_200));
  return { bytes, body: bytes.length - 24 * 600 - 20 * 1_200 };
}

test("a large file is encoded in steps, and is the same", () => {
  const index = new ActiveLogIndex();
  for (let ordinal = 0; ordinal < 10_000; ordinal++)
    index.append(1 + (ordinal % 3), ordinal, ordinal, () => 0);
  const steps = logIndexSteps(index, describedSegment, placesOf(10_000));
  let count = 0;
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) count++;
  assert.equal(count, 3, "after the ids, and after each 4,096 batches");
  assert.deepEqual(step.value, encodeLogIndex(index, describedSegment, placesOf(10_000)));
});

test("a log whose pages are sound is found beside damaged ones, and one in them is not", () => {
  const { bytes, body } = manyLogs();
  const [batchesAt, ofLog] = [body + 24 * 600, 2 * 20];
  // The second batch of log 400.
  bytes[batchesAt + 399 * ofLog + 25]! ^= 1;
  const found = open(bytes, 1_200)!;
  assert.throws(() => found.find(400), DamagedPage);
  assert.throws(() => found.find(400), DamagedPage, "each time");
  assert.throws(() => found.checkAll(), DamagedPage);
  for (const id of [1, 2, 250, 300, 550, 600]) {
    const batches = found.find(id)!;
    assert.deepEqual([batches.ordinal(0), batches.ordinal(1), batches.length], [id - 1, 599 + id, 2]);
  }
  assert.equal(found.ids().length, 600);
});

test("a read of one log looks at the pages that are about it", () => {
  const { bytes } = manyLogs();
  const file = mapped(bytes);
  const checked = new Set<number>();
  const watched: MappedFile = {
    ...file,
    bytes: file.bytes,
    u32: (at) => file.u32(at),
    copy: (start, end) => file.copy(start, end),
    close: () => file.close(),
    crc32: (start, end) => {
      checked.add(start);
      return file.crc32(start, end);
    },
  };
  const found = SealedLogIndex.open(watched, describedSegment, 1_200)!;
  assert.equal(checked.size, 0);
  found.find(300);
  assert.ok(checked.size <= 4, `${checked.size} of 10 pages`);
});

/** As version 1 wrote it. */
function oldFile(index: ActiveLogIndex): Uint8Array {
  const logs = index.idsAfter(-1);
  const ordinalsAt = 48 + 24 * logs.length;
  const offsetsAt = ordinalsAt + 4 * index.entries;
  const bytes = new Uint8Array(offsetsAt + 8 * index.entries + 4);
  bytes.set(Buffer.from("TRLNAMED"));
  for (const [at, value] of [1, logs.length, index.entries].entries()) writeU32le(bytes, 8 + 4 * at, value);
  bytes.set(describedSegment.directoryId, 24);
  writeU64le(bytes, 40, describedSegment.first);
  let start = 0;
  for (const [k, id] of logs.entries()) {
    const at = 48 + 24 * k;
    const batches = index.find(id)!;
    for (const [field, value] of [id, start, batches.length].entries())
      writeU32le(bytes, at + 4 * field, value);
    writeU64le(bytes, at + 16, batches.previous);
    for (let i = 0; i < batches.length; i++) {
      writeU32le(bytes, ordinalsAt + 4 * (start + i), batches.ordinal(i));
      writeU64le(bytes, offsetsAt + 8 * (start + i), batches.offset(i));
    }
    start += batches.length;
  }
  writeU32le(bytes, bytes.length - 4, crc32(bytes, 0, bytes.length - 4));
  return bytes;
}

test("a file of version 1 is read: it says nothing of places, and every flipped bit is noticed", () => {
  const active = filledLogs();
  const bytes = oldFile(active);
  const sealed = open(bytes, 4)!;
  sealed.checkAll();
  assert.deepEqual(sealed.ids(), [5, 300, 0xffff_ffff]);
  for (const id of sealed.ids()) {
    assert.deepEqual(plain(sealed.find(id)), plain(active.find(id)));
    assert.equal(sealed.find(id)!.extent, undefined);
  }
  assert.ok(same(sealed, active));
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const copy = Uint8Array.from(bytes);
    copy[bit >>> 3]! ^= 1 << (bit & 7);
    assert.equal(open(copy, 4), undefined, `bit ${bit}`);
  }
});

test("two indexes are the same only with the same batches at the same places", () => {
  const other = filledLogs();
  other.append(5, 9, 1, () => 0);
  const sealed = open(encode(filledLogs()), 4)!;
  assert.ok(!same(sealed, other));
  const elsewhere = { length: 10, position: (k: number) => 1_000 * k };
  assert.ok(!sameLogs(sealed, filledLogs(), elsewhere, store.storeBytes, 1));
  assert.ok(!sameLogs(sealed, filledLogs(), places, store.storeBytes - 1, 1));
});

test("links below the start of the log need not be equal", () => {
  const one = new ActiveLogIndex();
  one.append(1, 0, 5, () => 30);
  const other = new ActiveLogIndex();
  other.append(1, 0, 5, () => 0);
  const sealed = open(encode(one), 1)!;
  assert.ok(same(sealed, other, 31));
  assert.ok(!same(sealed, other, 30));
});
