import assert from "node:assert/strict";
import { test } from "node:test";
import { AssertionFailed } from "../../../src/lib/assert.ts";
import {
  bootOf,
  decodeReceipt,
  decodeVote,
  emptyVote,
  encodeReceipt,
  encodeVote,
  type VoteRecord,
  voteOf,
} from "../../../src/store/vote-record.ts";

const nonce = (n: number): string => n.toString(16).padStart(16, "0");
const records: readonly VoteRecord[] = [
  emptyVote,
  { vote: { term: 0, vote: 0 }, boot: undefined },
  {
    vote: { term: 2 ** 53 - 1, vote: 2 ** 52 + 1 },
    boot: { life: 3, count: 1, nonce: nonce(7), earlier: [] },
  },
  { vote: undefined, boot: { life: 2 ** 40, count: 0, nonce: "", earlier: [nonce(1), "fedcba9876543210"] } },
  {
    vote: { term: 5, vote: 6 },
    boot: {
      life: 0,
      count: 65,
      nonce: nonce(65),
      earlier: Array.from({ length: 64 }, (_, n) => nonce(64 - n)),
    },
  },
];

test("a record is decoded as it was encoded, with any bytes after it", () => {
  for (const [sequence, record] of records.entries()) {
    const bytes = encodeVote(sequence, record);
    const page = new Uint8Array(4096).fill(0xff);
    page.set(bytes);
    assert.ok(bytes.length < 4096);
    assert.deepEqual(decodeVote(page), { sequence, record });
  }
});

test("a record with a flipped bit or a missing byte is not valid", () => {
  const bytes = encodeVote(9, records[2]!);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Uint8Array.from(bytes);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(decodeVote(damaged), undefined, `bit ${bit}`);
  }
  for (let length = 0; length < bytes.length; length++)
    assert.equal(decodeVote(bytes.subarray(0, length)), undefined);
  assert.equal(decodeVote(new Uint8Array(4096)), undefined);
});

test("a receipt is decoded as it was encoded; a damaged one is ignored", () => {
  const bytes = encodeReceipt({ vote: 2 ** 40, state: 17 });
  assert.deepEqual(decodeReceipt(bytes), { vote: 2 ** 40, state: 17 });
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Uint8Array.from(bytes);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assert.deepEqual(decodeReceipt(damaged), { vote: 0, state: 0 });
  }
});

test("an invalid vote or boot number is not written", () => {
  assert.equal(voteOf(undefined), undefined);
  assert.deepEqual(voteOf({ term: 1, vote: 2, more: 3 }), { term: 1, vote: 2 });
  for (const wrong of [null, {}, { term: 1 }, { term: -1, vote: 0 }, { term: 1.5, vote: 0 }]) {
    assert.throws(() => voteOf(wrong), AssertionFailed);
  }
  for (const wrong of [null, {}, { life: 0, count: 0, nonce: 1, earlier: [] }]) {
    assert.throws(() => bootOf(wrong), AssertionFailed);
  }
  const boot = { life: 0, count: 1, nonce: "short", earlier: [] };
  assert.throws(() => encodeVote(1, { vote: undefined, boot }), AssertionFailed);
});
