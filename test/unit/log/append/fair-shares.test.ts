import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FairShares, type Share, type ShareOwner } from "../../../../src/log/append/fair-shares.ts";

fc.configureGlobal({ seed: 20261130 });

const limits = { bytesMax: 6_400, countMax: 1_000_000 };
const owner = (log: string | undefined, subject: string | undefined = "s"): ShareOwner => ({ log, subject });

/** Takes units of 10 bytes until there is no room. Returns the bytes. */
function fill(shares: FairShares, of: ShareOwner): number {
  let bytes = 0;
  for (; shares.hasRoom(of, 10); bytes += 10) shares.take(of, 10);
  return bytes;
}

test("a subject has half of the limit alone, and in one log half of that", () => {
  const shares = new FairShares(limits);
  assert.equal(fill(shares, owner("a")), 1_600);
  assert.equal(shares.hasRoom(owner("a"), 10), false);
  assert.equal(fill(shares, owner("b")), 800);
  assert.deepEqual(shares.usedBy(owner("a")), { bytes: 1_600, count: 160 });
  assert.deepEqual(shares.used, { bytes: 2_400, count: 240 });
});

test("a bulk writer leaves room for its other logs, for other subjects in its log, and for all others", () => {
  const shares = new FairShares(limits);
  fill(shares, owner("a"));
  for (const other of [
    owner("b"),
    owner(undefined),
    owner("a", "t"),
    owner("b", "t"),
    owner("c", undefined),
  ]) {
    assert.ok(shares.hasRoom(other, 100), JSON.stringify(other));
  }
});

test("many subjects that write to one log leave half of the limit for the other logs", () => {
  const shares = new FairShares(limits);
  let bytes = 0;
  for (let subject = 0; subject < 300; subject++) bytes += fill(shares, owner("a", String(subject)));
  assert.ok(bytes <= limits.bytesMax / 2, String(bytes));
  assert.ok(shares.hasRoom(owner("b", "t"), 500));
});

test("many logs of one subject leave half of the limit for the other subjects", () => {
  const shares = new FairShares(limits);
  let bytes = 0;
  for (let log = 0; log < 300; log++) bytes += fill(shares, owner(String(log)));
  assert.ok(bytes <= limits.bytesMax / 2, String(bytes));
  assert.ok(shares.hasRoom(owner("a", "t"), 500));
  const byLog = new FairShares({ ...limits, bySubject: false });
  assert.equal(fill(byLog, owner("a")), 3_200);
  assert.equal(fill(byLog, owner("b")), 1_600);
});

test("the number of units is limited in the same way", () => {
  const shares = new FairShares({ bytesMax: 1e9, countMax: 8 });
  for (const expected of [true, true, false]) {
    assert.equal(shares.hasRoom(owner("a"), 1), expected);
    if (expected) shares.take(owner("a"), 1);
  }
  assert.equal(shares.hasRoom(owner("b"), 1), true);
});

test("a unit that is larger than the limit is taken alone", () => {
  const shares = new FairShares(limits);
  assert.equal(shares.hasRoom(owner("a"), 1e9), true);
  const share = shares.take(owner("a"), 1e9);
  assert.equal(shares.hasRoom(owner("b"), 1), false);
  shares.release(share, 1e9, 1);
  assert.equal(shares.hasRoom(owner("b"), 1), true);
});

test("what is released is free again, and the sums agree with the units that are held", () => {
  const steps = fc.array(
    fc.record({
      log: fc.integer({ min: 0, max: 3 }),
      subject: fc.integer({ min: 0, max: 2 }),
      bytes: fc.nat(900),
    }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(steps, fc.infiniteStream(fc.boolean()), (steps, isReleased) => {
      const shares = new FairShares(limits);
      const held: { readonly of: ShareOwner; readonly share: Share; readonly bytes: number }[] = [];
      const release = (): void => {
        const { share, bytes } = held.shift()!;
        shares.release(share, bytes, 1);
      };
      for (const { log, subject, bytes } of steps) {
        const of = owner(log === 0 ? undefined : String(log), subject === 0 ? undefined : String(subject));
        if (shares.hasRoom(of, bytes)) held.push({ of, share: shares.take(of, bytes), bytes });
        else assert.ok(held.length > 0);
        if (held.length > 0 && isReleased.next().value) release();
        const sum = held.reduce((total, unit) => total + unit.bytes, 0);
        assert.deepEqual(shares.used, { bytes: sum, count: held.length });
        assert.ok(held.length === 1 || sum <= limits.bytesMax);
        const own = held.filter((unit) => unit.of.log === of.log && unit.of.subject === of.subject);
        assert.equal(shares.usedBy(of).count, own.length);
      }
      while (held.length > 0) release();
      assert.deepEqual(shares.used, { bytes: 0, count: 0 });
    }),
  );
});
