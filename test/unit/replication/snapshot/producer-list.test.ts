/** packed-start.test.ts and backup-manifest.test.ts have the damaged and malformed lists. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce } from "../../../../src/lib/time/in-slices.ts";
import type { PackedProducers } from "../../../../src/log/mod.ts";
import {
  type ProducerRows,
  packWith,
  unpackWith,
} from "../../../../src/replication/snapshot/producer-list.ts";
import { pack } from "../../../../src/replication/storage/msgpack.ts";

const path = ["start", "checkpoint", "producers"];
const rowsOf = (count: number): ProducerRows =>
  Array.from({ length: count }, (_, n) => ["s", BigInt(n), 0, [[n + 1, 0, 1, 0, 0]]]);
const valueWith = (producers: ProducerRows) => ({
  format: 7,
  start: { end: { index: 9 }, checkpoint: { index: 9, producers, level: undefined }, rows: { base: 3 } },
  files: [{ file: "a" }],
});

/** Copies one row in each step. */
function packedRows(rows: ProducerRows) {
  const pieces = rows.map((row) => Uint8Array.from(pack(row)));
  const all = Buffer.concat(pieces);
  let closed = 0;
  const producers: PackedProducers = {
    count: rows.length,
    bytes: all.length,
    inFile: true,
    *copyTo(target) {
      let at = 0;
      for (const piece of pieces) {
        target.set(piece, at);
        at += piece.length;
        yield;
      }
    },
    close: () => closed++,
  };
  return { producers, closed: () => closed };
}

test("a value that is packed with a list in steps has the same bytes as one that is packed at once", () => {
  for (const count of [0, 1, 15, 16, 512, 513, 65_536]) {
    const rows = rowsOf(count);
    const { producers, closed } = packedRows(rows);
    const data = atOnce(packWith(valueWith([]), path, producers));
    assert.equal(Buffer.compare(data, pack(valueWith(rows))), 0, `${count} producers`);
    assert.equal(closed(), 1);
    const { value, producers: found } = atOnce(unpackWith(data, path));
    if (count <= 512) assert.deepEqual(value, valueWith(rows));
    else assert.deepEqual([value, found], [valueWith([]), rows]);
  }
});

test("a list that is not kept is checked all the same", () => {
  const rows = [...rowsOf(1500)];
  assert.deepEqual(atOnce(unpackWith(pack(valueWith(rows)), path, false)), {
    value: valueWith([]),
    producers: [],
  });
  const malformed = pack({ start: { checkpoint: { producers: [...rows, 7] } } });
  assert.throws(() => atOnce(unpackWith(malformed, path, false)), { kind: "corrupt" });
});

test("work that is given up closes the producers", () => {
  const { producers, closed } = packedRows(rowsOf(20));
  const steps = packWith(valueWith([]), path, producers);
  steps.next();
  steps.return(new Uint8Array());
  assert.equal(closed(), 1);
});
