import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../src/lib/prng.ts";
import { RecordRing } from "../../../web/src/core/ring.ts";

function bytesOf(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = offset * 31 + at * 7;
  return bytes;
}

test("what was pushed is there, byte for byte, at its offset", () => {
  const ring = new RecordRing({ recordsMax: 10, bytesMax: 1000 });
  ring.clear(40);
  for (let offset = 40; offset < 50; offset++) ring.push(bytesOf(offset, offset - 40));
  assert.deepEqual([ring.first, ring.next, ring.count, ring.evicted], [40, 50, 10, 0]);
  for (let offset = 40; offset < 50; offset++)
    assert.deepEqual(ring.at(offset), bytesOf(offset, offset - 40));
  assert.equal(ring.at(39), undefined);
  assert.equal(ring.at(50), undefined);
});

test("past either limit the oldest leave, and every one that left is counted", () => {
  const ring = new RecordRing({ recordsMax: 4, bytesMax: 100 });
  for (let offset = 0; offset < 6; offset++) ring.push(bytesOf(offset, 10));
  assert.deepEqual([ring.first, ring.next, ring.evicted], [2, 6, 2]);
  ring.push(bytesOf(6, 90));
  assert.deepEqual([ring.first, ring.next, ring.evicted, ring.bytes], [5, 7, 5, 100]);
});

test("a record larger than the limit is kept alone rather than lost", () => {
  const ring = new RecordRing({ recordsMax: 4, bytesMax: 100 });
  ring.push(bytesOf(0, 10));
  assert.equal(ring.wouldEvict(5000), true);
  ring.push(bytesOf(1, 5000));
  assert.deepEqual([ring.first, ring.count], [1, 1]);
  assert.equal(ring.at(1)?.length, 5000);
});

test("memory stays flat while millions of bytes stream through, and no record is ever torn", () => {
  const random = prng("ring");
  const ring = new RecordRing({ recordsMax: 500, bytesMax: 4 << 20 });
  const lengths = new Map<number, number>();
  let most = 0;
  for (let offset = 0; offset < 20_000; offset++) {
    const length = random.chance(0.002) ? random.between(1 << 20, 3 << 20) : random.between(0, 4000);
    lengths.set(offset, length);
    ring.push(bytesOf(offset, length));
    most = Math.max(most, ring.reservedBytes);
    const seen = random.between(ring.first, ring.next - 1);
    assert.equal(ring.at(seen)?.length, lengths.get(seen));
    if (random.chance(0.01)) assert.deepEqual(ring.at(seen), bytesOf(seen, lengths.get(seen) as number));
  }
  assert.equal(ring.first + ring.count, 20_000);
  assert.equal(ring.evicted, ring.first);
  assert.ok(most < (4 << 20) * 2 + (4 << 20), `${most} bytes were reserved`);
});

test("clearing drops everything and continues at the given offset", () => {
  const ring = new RecordRing({ recordsMax: 4, bytesMax: 100 });
  for (let offset = 0; offset < 9; offset++) ring.push(bytesOf(offset, 3));
  ring.clear(100);
  assert.deepEqual([ring.first, ring.next, ring.count, ring.bytes, ring.evicted], [100, 100, 0, 0, 0]);
  ring.push(bytesOf(100, 3));
  assert.deepEqual(ring.at(100), bytesOf(100, 3));
});
