/** Base files from a damaged disk or a hostile peer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { writeU32le, writeU64le } from "../../../src/lib/bytes.ts";
import { crc32 } from "../../../src/lib/checksum.ts";
import { prng } from "../../../src/lib/prng.ts";
import {
  type BlockPlace,
  blockBytes,
  encodeBlock,
  encodeEnd,
  encodeHeader,
} from "../../../src/rows/base-format.ts";
import { openBase } from "../../../src/rows/base-reader.ts";
import { mergeBase, type StoredRow } from "../../../src/rows/mod.ts";
import { RowPacker } from "../../../src/rows/row-codec.ts";
import { SimDisk } from "../../support/disk/sim-disk.ts";
import { headOf, put, sampleRow, sampleRows } from "./row-samples.ts";

const path = "/log/1.rows";

function diskWith(bytes: Uint8Array): SimDisk {
  const disk = new SimDisk(prng(1));
  disk.makeDirectory("/log");
  const file = disk.open(path, "create");
  file.write(bytes, 0);
  file.close();
  return disk;
}

function read(bytes: Uint8Array): StoredRow[] {
  const base = openBase(diskWith(bytes), path);
  try {
    return [...base.blocks()].flat();
  } finally {
    base.close();
  }
}

const refused = (bytes: Uint8Array, why: string): void =>
  assert.throws(
    () => read(bytes),
    (reason) => reason instanceof Fault && reason.kind === "corrupt" && reason.facts.why === why,
  );

function written(rows: readonly StoredRow[]): Uint8Array {
  const disk = new SimDisk(prng(1));
  disk.makeDirectory("/log");
  for (const _ of mergeBase(disk, undefined, path, rows.map(put), headOf(1, rows.length)));
  return disk.contents(path);
}

/** A file of blocks with any rows, whose checksums are right. */
function forged(
  blocks: readonly (readonly StoredRow[])[],
  count: number,
  firstIds?: readonly number[],
): Uint8Array {
  const parts: Uint8Array[] = [encodeHeader(headOf(1, count))];
  const places: BlockPlace[] = [];
  for (const [ordinal, rows] of blocks.entries()) {
    const packer = new RowPacker();
    for (const row of rows) packer.pushRow(row);
    const firstId = firstIds?.[ordinal] ?? rows[0]?.id ?? 0;
    places.push({ firstId, position: 0, bytes: packer.length });
    parts.push(encodeBlock(packer.packed, rows.length, ordinal));
  }
  return Buffer.concat([...parts, encodeEnd(places)]);
}

test("a flipped bit anywhere in a base file is refused", () => {
  const bytes = written(sampleRows(0, 1200));
  const random = prng("base");
  for (let trial = 0; trial < 400; trial++) {
    const bit = random.between(0, bytes.length * 8 - 1);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(
      () => read(bytes),
      (reason) => reason instanceof Fault && reason.kind === "corrupt",
      `bit ${bit}`,
    );
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  assert.equal(read(bytes).length, 1200);
});

test("a base file that is cut or continued is refused", () => {
  const bytes = written(sampleRows(0, 1200));
  for (let length = 0; length < bytes.length; length += 997) {
    refused(bytes.subarray(0, length), length < 35 ? "header" : "index");
  }
  refused(Buffer.concat([bytes, new Uint8Array(1)]), "index");
  refused(Buffer.concat([bytes, bytes]), "index");
});

test("rows in a wrong order, in a wrong number, and short blocks are refused though their checksums are right", () => {
  const row = (id: number): StoredRow => sampleRow(id, 0, 600);
  const full = (first: number): StoredRow[] => Array.from({ length: 130 }, (_, at) => row(first + at));
  assert.equal(read(forged([full(0), full(200), [row(900)]], 261)).length, 261);
  refused(forged([[row(2), row(1)]], 2), "order");
  refused(forged([[row(2), row(2)]], 2), "order");
  refused(forged([full(200), full(0)], 260), "index");
  refused(forged([full(0), full(100)], 260), "order");
  refused(forged([full(0), full(200)], 260, [0, 150]), "block");
  refused(forged([full(0), full(200)], 261), "count");
  refused(forged([[row(1)], [row(2)]], 2), "index");
  refused(forged([[]], 0), "block");
  refused(forged([[{ ...row(1), value: new Uint8Array(2 * 1024 * 1024) }]], 1), "index");
  assert.ok(full(0).length * 600 > blockBytes);
});

test("what is no row is refused: a deletion, no name, no text, a long name, a number out of range", () => {
  const one = (...bytes: readonly number[]): Uint8Array => {
    const packed = Uint8Array.from(bytes);
    const place = { firstId: 1, position: 0, bytes: packed.length };
    return Buffer.concat([encodeHeader(headOf(1, 1)), encodeBlock(packed, 1, 0), encodeEnd([place])]);
  };
  assert.equal(read(one(1, 1, 1, 97, 0))[0]?.name, "a");
  refused(one(1, 0), "block");
  refused(one(1, 1, 0, 0), "block");
  refused(one(1, 1, 1, 0xff, 0), "block");
  refused(one(1, 1, 0x80, 0x02, ...new Uint8Array(256).fill(97), 0), "block");
  refused(one(1, 1, 1, 97, 5, 0), "block");
  refused(one(0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 97, 0), "block");
  refused(one(1, ...new Uint8Array(10).fill(0xff)), "block");
});

test("numbers of a header and a tail take no memory before they are checked", () => {
  const header = encodeHeader(headOf(1, 0));
  writeU32le(header, 24, 0xffff_fff0);
  refused(Buffer.concat([header, encodeEnd([])]), "header");
  const index = encodeHeader(headOf(1, 0));
  writeU64le(index, 8, 2 ** 53 - 1);
  index.fill(0xff, 8, 16);
  writeU32le(index, index.length - 4, crc32(index, 0, index.length - 4));
  refused(Buffer.concat([index, encodeEnd([])]), "header");
  const end = encodeEnd([]);
  writeU32le(end, 0, 0xffff_ffff);
  refused(Buffer.concat([encodeHeader(headOf(1, 0)), new Uint8Array(100), end]), "index");
});
