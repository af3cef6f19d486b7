import assert from "node:assert/strict";
import { test } from "node:test";
import {
  accepted,
  type BootClaim,
  claimOf,
  earlierMax,
  flawOf,
  furthest,
  merged,
  nextBoot,
  nextLife,
  type Position,
  type SeenBoot,
  type StoredBoot,
  seenOf,
  withCopy,
} from "../../../../src/replication/identity/boot.ts";

const nonce = (n: number): string => n.toString(16).padStart(16, "0");
const claim = (boot: StoredBoot, start: Position = { term: 0, index: 0 }, lossy = false): BootClaim => ({
  ...boot,
  start,
  lossy,
});

/** Consecutive boots of one directory with these nonces. */
function boots(...nonces: number[]): StoredBoot[] {
  const made: StoredBoot[] = [];
  for (const one of nonces) made.push(nextBoot(made.at(-1), nonce(one)));
  return made;
}

const seenAfter = (boot: StoredBoot, promised: Position = { term: 0, index: 0 }): SeenBoot => ({
  ...accepted(claim(boot), undefined),
  promised,
});

test("the same boot and every later one that follows from it are accepted, also if boots between were not seen", () => {
  const all = boots(1, 2, 3, 4, 5);
  const seen = seenAfter(all[1]!);
  for (const later of all.slice(1)) assert.equal(flawOf(claim(later), seen), undefined);
});

test("a start of an older copy is an older boot, whatever its nonce", () => {
  const [first, second, third] = boots(1, 2, 3);
  const seen = seenAfter(third!);
  assert.equal(flawOf(claim(first!), seen), "older-boot");
  assert.equal(flawOf(claim(second!), seen), "older-boot");
  const again = nextBoot(first, nonce(9));
  assert.equal(flawOf(claim(again), seen), "older-boot");
});

test("an older copy is refused however often it starts", () => {
  const [first, , third] = boots(1, 2, 3);
  const seen = seenAfter(third!);
  let fork = first!;
  for (let n = 0; n < earlierMax; n++) {
    fork = nextBoot(fork, nonce(100 + n));
    assert.notEqual(flawOf(claim(fork), seen), undefined, `after ${n + 1} starts`);
  }
});

test("a known number with another nonce is a copy, and so is a boot that follows from it", () => {
  const [first, second] = boots(1, 2);
  const seen = seenAfter(second!);
  const twin = nextBoot(first, nonce(9));
  assert.equal(flawOf(claim(twin), seen), "copy");
  assert.equal(flawOf(claim(nextBoot(twin, nonce(10))), seen), "copy");
});

test("a boot of a known copy is refused, with all boots that follow from it", () => {
  const [first] = boots(1);
  const twin = nextBoot(first, nonce(9));
  const seen = withCopy(seenAfter(first!), twin.nonce);
  assert.equal(flawOf(claim(twin), seen), "copy");
  assert.equal(flawOf(claim(nextBoot(twin, nonce(10))), seen), "copy");
  assert.equal(flawOf(claim(nextBoot(first, nonce(11))), seen), undefined);
});

test("a log that lacks promised entries at the start is refused, unless they were replaced in a later term", () => {
  const [first, second] = boots(1, 2);
  const seen = seenAfter(first!, { term: 5, index: 145 });
  const flaw = (term: number, index: number): unknown => flawOf(claim(second!, { term, index }), seen);
  assert.equal(flaw(5, 144), "lost-entries");
  assert.equal(flaw(4, 200), "lost-entries", "it lacks a term");
  assert.equal(flaw(5, 145), undefined);
  assert.equal(flaw(6, 3), undefined);
  assert.equal(flawOf(claim(second!, { term: 5, index: 144 }, true), seen), undefined, "--sync interval");
});

test("a copy from before the leader of the term replaced the end of the log is refused, although it is longer", () => {
  const [first, second] = boots(1, 2);
  // The node acknowledged entry 20 of the leader of term 3. The copy has voted in term 3, but ends with entries of term 2.
  const seen = seenAfter(first!, { term: 3, index: 20, entryTerm: 3 });
  const flaw = (index: number, entryTerm?: number): unknown =>
    flawOf(claim(second!, { term: 3, index, ...(entryTerm === undefined ? {} : { entryTerm }) }), seen);
  assert.equal(flaw(42, 2), "lost-entries");
  assert.equal(flaw(42, 3), undefined);
  assert.equal(flaw(19, 3), "lost-entries");
  assert.equal(flaw(42), undefined, "a node of an earlier version does not say it");
  const probed = seenAfter(first!, { term: 3, index: 20, entryTerm: 2 });
  assert.equal(flawOf(claim(second!, { term: 3, index: 42, entryTerm: 2 }), probed), undefined);
});

test("a log whose end the leader of the term replaces by a shorter one is not refused at the next start", () => {
  const [first, second, third] = boots(1, 2, 3);
  const before = accepted(claim(first!, { term: 2, index: 42, entryTerm: 2 }), undefined);
  const voted = accepted(claim(second!, { term: 3, index: 42, entryTerm: 2 }), before);
  assert.deepEqual(voted.promised, { term: 2, index: 42, entryTerm: 2 });
  assert.equal(flawOf(claim(third!, { term: 3, index: 30, entryTerm: 3 }), voted), undefined);
});

test("the furthest of two positions says what both say", () => {
  const [one, other] = [
    { term: 3, index: 20, entryTerm: 3 },
    { term: 3, index: 24 },
  ];
  const both = { term: 3, index: 24, entryTerm: 3 };
  assert.deepEqual(furthest(one, other), both);
  assert.deepEqual(furthest(other, one), both);
  assert.equal(furthest(both, one), both);
  assert.deepEqual(furthest(both, { term: 4, index: 1 }), { term: 4, index: 1 });
});

test("a repair begins a new life, which is accepted without earlier promises; the old life is refused", () => {
  const [first, second] = boots(1, 2);
  const seen = withCopy(seenAfter(second!, { term: 5, index: 145 }), nonce(9));
  const repaired = nextBoot(nextLife(first), nonce(20));
  assert.deepEqual([repaired.life, repaired.count, repaired.earlier], [1, 1, []]);
  const again = claim(repaired, { term: 6, index: 100 });
  assert.equal(flawOf(again, seen), undefined);
  const now = accepted(again, seen);
  assert.deepEqual(now.promised, { term: 6, index: 100 });
  assert.equal(flawOf(claim(second!, { term: 9, index: 900 }), now), "older-boot");
});

test("a merged record has the later boot, the furthest promise and all copies", () => {
  const [first, second] = boots(1, 2);
  const one = seenAfter(first!, { term: 5, index: 145 });
  const other = withCopy(seenAfter(second!, { term: 4, index: 10 }), nonce(9));
  const expected = { ...other, promised: { term: 5, index: 145 } };
  assert.deepEqual(merged(one, other), expected);
  assert.deepEqual(merged(other, one), expected);
  const misled = seenAfter(nextBoot(first, nonce(9)), { term: 7, index: 1 });
  assert.equal(merged(misled, other).nonce, second!.nonce, "it had taken a copy for the member");
  assert.deepEqual(merged(other, misled), other);
});

test("a malformed claim or record of a peer is refused as a whole", () => {
  const [first] = boots(1);
  const good = claim(first!, { term: 1, index: 2 });
  assert.deepEqual(claimOf({ ...good, more: 1 }), good);
  const full = claim(first!, { term: 3, index: 2, entryTerm: 1 });
  assert.deepEqual(claimOf(full), full);
  assert.equal(claimOf({ ...full, start: { ...full.start, entryTerm: -1 } }), undefined);
  const seen = seenAfter(first!);
  assert.deepEqual(seenOf(seen), seen);
  const wrong: unknown[] = [
    undefined,
    5,
    { ...good, nonce: "zz" },
    { ...good, count: -1 },
    { ...good, count: 2 ** 60 },
    { ...good, start: undefined },
    { ...good, earlier: Array.from({ length: earlierMax + 1 }, () => nonce(1)) },
    { ...good, lossy: 1 },
  ];
  for (const one of wrong) assert.equal(claimOf(one), undefined, JSON.stringify(one));
  assert.equal(seenOf({ ...seen, copies: [1] }), undefined);
  assert.equal(seenOf({ ...seen, promised: { term: 1 } }), undefined);
});
