import assert from "node:assert/strict";
import { test } from "node:test";
import { heapMapper, type MappedFile } from "../../../../src/lib/disk/mapped-file.ts";
import { prng } from "../../../../src/lib/prng.ts";
import {
  ActiveLogIndex,
  type LogBatches,
  lastBatchAt,
  SealedLogIndex,
  sameLogs,
} from "../../../../src/log/index/log-index.ts";
import { SimDisk } from "../../../support/disk/sim-disk.ts";

const directoryId = new Uint8Array(16).fill(9);

function mapped(bytes: Uint8Array): MappedFile {
  const disk = new SimDisk(prng("log index"));
  disk.makeDirectory("/d");
  const file = disk.open("/d/file", "create");
  file.write(bytes, 0);
  file.close();
  return heapMapper(disk)("/d/file");
}

const open = (bytes: Uint8Array, entries: number, first = 7, id = directoryId): SealedLogIndex | undefined =>
  SealedLogIndex.open(mapped(bytes), id, first, entries);

const plain = (batches: LogBatches | undefined): unknown =>
  batches && {
    previous: batches.previous,
    entries: Array.from({ length: batches.length }, (_, i) => [batches.ordinal(i), batches.offset(i)]),
  };

function filled(): ActiveLogIndex {
  const index = new ActiveLogIndex();
  index.append(300, 1, 2 ** 40, () => 2 ** 33);
  index.append(5, 2, 0, () => 0);
  index.append(300, 3, 2 ** 40 + 2, () => assert.fail("it is asked once for each log"));
  index.append(0xffff_ffff, 9, 1, () => 6);
  return index;
}

test("a sealed log index holds what the active one held", () => {
  const active = filled();
  const sealed = open(active.encode(directoryId, 7), 4);
  assert.ok(sealed !== undefined);
  assert.deepEqual([...sealed.ids()], [5, 300, 0xffff_ffff]);
  for (const id of [5, 300, 0xffff_ffff]) assert.deepEqual(plain(sealed.find(id)), plain(active.find(id)));
  for (const id of [0, 6, 301, 0xffff_fffe]) assert.equal(sealed.find(id), undefined);
  assert.throws(() => sealed.find(5)!.offset(1));
  assert.ok(sameLogs(sealed, active, 1));
});

test("the logs after an id come in pages from a file, and all at once from memory", () => {
  const active = filled();
  const sealed = open(active.encode(directoryId, 7), 4)!;
  assert.deepEqual(
    [-1, 0, 5, 6, 300, 0xffff_ffff].map((id) => sealed.idsAfter(id, 2)),
    [[5, 300], [5, 300], [300, 0xffff_ffff], [300, 0xffff_ffff], [0xffff_ffff], []],
  );
  assert.deepEqual(active.idsAfter(-1), [5, 300, 0xffff_ffff]);
  assert.deepEqual(active.idsAfter(5), [300, 0xffff_ffff]);
});

test("a file of another segment or directory, or with another number of batches, is not taken", () => {
  const bytes = filled().encode(directoryId, 7);
  assert.equal(open(bytes, 4, 8), undefined);
  assert.equal(open(bytes, 5), undefined);
  assert.equal(open(bytes, 4, 7, new Uint8Array(16)), undefined);
  for (const length of [0, 40, 51, bytes.length - 1])
    assert.equal(open(bytes.subarray(0, length), 4), undefined);
  assert.equal(open(Buffer.concat([bytes, new Uint8Array(4)]), 4), undefined);
});

test("every flipped bit of the file is noticed", () => {
  const bytes = filled().encode(directoryId, 7);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const copy = Uint8Array.from(bytes);
    copy[bit >>> 3]! ^= 1 << (bit & 7);
    assert.equal(open(copy, 4), undefined, `bit ${bit}`);
  }
});

test("truncate removes the batches from an ordinal on, and logs without a batch", () => {
  const random = prng("truncate");
  for (let round = 0; round < 100; round++) {
    const [index, expected] = [new ActiveLogIndex(), new ActiveLogIndex()];
    const cut = random.between(0, 30);
    for (let ordinal = 0; ordinal < 30; ordinal++) {
      const id = random.between(1, 4);
      index.append(id, ordinal, 3 * ordinal, () => id);
      if (ordinal < cut) expected.append(id, ordinal, 3 * ordinal, () => id);
    }
    index.truncate(cut);
    assert.deepEqual(index.encode(directoryId, 1), expected.encode(directoryId, 1));
    assert.equal(index.entries, cut);
    assert.deepEqual([...index.ids()].sort(), [...expected.ids()].sort());
  }
});

test("the last batch at an offset is found", () => {
  const batches = filled().find(300)!;
  const at = (offset: number): number => lastBatchAt(batches, 2 ** 40 + offset);
  assert.deepEqual([at(-1), at(0), at(1), at(2), at(3)], [-1, 0, 0, 1, 1]);
});

test("links below the start of the log need not be equal", () => {
  const one = new ActiveLogIndex();
  one.append(1, 0, 5, () => 30);
  const other = new ActiveLogIndex();
  other.append(1, 0, 5, () => 0);
  const sealed = open(one.encode(directoryId, 7), 1)!;
  assert.ok(sameLogs(sealed, other, 31));
  assert.ok(!sameLogs(sealed, other, 30));
});
