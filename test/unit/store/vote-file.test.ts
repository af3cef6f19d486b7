import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { DiskUncertain } from "../../../src/lib/disk/disk.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { prng } from "../../../src/lib/prng.ts";
import { readVoteFile, VoteFile, voteFileBytes, writeVoteFile } from "../../../src/store/vote-file.ts";
import { emptyVote, encodeReceipt, type VoteRecord } from "../../../src/store/vote-record.ts";
import { SimDisk, SimulatedCrash } from "../../support/disk/sim-disk.ts";
import { SmallDisk } from "../../support/disk/small-disk.ts";
import { scratch } from "../../support/scratch.ts";

const directory = "/meta";
const path = `${directory}/vote`;
const isCorrupt = (reason: unknown): boolean => reason instanceof Fault && reason.kind === "corrupt";
const isPowerCut = (reason: unknown): boolean =>
  reason instanceof SimulatedCrash ||
  (reason instanceof DiskUncertain && reason.cause instanceof SimulatedCrash);
const voteFor = (term: number): VoteRecord => ({
  vote: { term, vote: 7 * term },
  boot: { life: 0, count: 3, nonce: "00000000000000aa", earlier: ["00000000000000bb", "00000000000000cc"] },
});

/** A disk with a vote file that was written so often. */
function written(writes: number, seed: number | string = 1): SimDisk {
  const disk = new SimDisk(prng(seed));
  disk.makeDirectory(directory);
  writeVoteFile(disk, path, emptyVote);
  disk.syncDirectory(directory);
  const file = new VoteFile(disk, path);
  for (let term = 1; term <= writes; term++) file.write(voteFor(term));
  return disk;
}

test("the newest vote is read after each write, and after opening again", () => {
  const disk = written(0);
  assert.deepEqual(readVoteFile(disk, path).record, emptyVote);
  for (let term = 1; term < 10; term++) {
    const file = new VoteFile(disk, path);
    file.write(voteFor(term));
    assert.deepEqual(file.record, voteFor(term));
    assert.deepEqual(readVoteFile(disk, path).record, voteFor(term));
  }
  const file = new VoteFile(disk, path);
  file.noteState(12);
  assert.deepEqual(new VoteFile(disk, path).receipt, { vote: 10, state: 12 });
});

test("no flipped bit undoes an acknowledged vote", () => {
  for (const writes of [1, 2, 5]) {
    const disk = written(writes);
    for (let bit = 0; bit < voteFileBytes * 8; bit += bit % 32768 < 8 * 110 ? 1 : 997) {
      disk.flipBit(path, bit);
      assert.deepEqual(readVoteFile(disk, path).record, voteFor(writes), `bit ${bit}`);
      disk.flipBit(path, bit);
    }
  }
});

test("many flipped bits give the newest vote or a refusal", () => {
  const chance = prng("many bits");
  const disk = written(6);
  let refused = 0;
  for (let trial = 0; trial < 3000; trial++) {
    const bits = Array.from({ length: chance.between(2, 12) }, () => {
      // Half of them where the records are.
      const page = chance.between(0, 4);
      return 8 * (4096 * page + chance.between(0, chance.chance(0.5) ? 70 : 4095)) + chance.between(0, 7);
    });
    for (const bit of bits) disk.flipBit(path, bit);
    // Damage to both copies of the newest vote and to the receipt is more than the file can tell.
    const pages = new Set(bits.map((bit) => bit >> 15));
    try {
      const { record } = readVoteFile(disk, path);
      if (!(pages.has(2) && pages.has(3) && pages.has(4)))
        assert.deepEqual(record, voteFor(6), `trial ${trial}`);
    } catch (reason) {
      assert.ok(isCorrupt(reason), String(reason));
      refused++;
    }
    for (const bit of bits) disk.flipBit(path, bit);
  }
  assert.ok(refused > 10, `${refused} were refused`);
});

test("a lost page, a slot of zeros or an older slot does not bring back an older vote", () => {
  for (const page of [0, 1, 2, 3]) {
    const disk = written(4);
    const file = disk.open(path, "write");
    file.write(new Uint8Array(4096), 4096 * page);
    assert.deepEqual(readVoteFile(disk, path).record, voteFor(4));
  }
  // Write 5 is in the second slot.
  const lost = written(4);
  lost.open(path, "write").write(new Uint8Array(8192), 8192);
  assert.throws(
    () => readVoteFile(lost, path),
    (reason) => {
      assert.ok(reason instanceof Fault && reason.kind === "corrupt");
      assert.deepEqual(reason.facts, { file: path, position: 8192, why: "lost-vote" });
      return true;
    },
  );
  const empty = written(4);
  empty.open(path, "write").write(new Uint8Array(16384), 0);
  assert.throws(() => readVoteFile(empty, path), /no vote that can be read/);
  const short = written(4);
  short.open(path, "write").truncate(voteFileBytes - 1);
  assert.throws(() => readVoteFile(short, path), isCorrupt);
});

test("after a power cut at any step the acknowledged vote is read, or the one that was being written", () => {
  let kept = 0;
  let came = 0;
  for (let seed = 0; seed < 100; seed++) {
    for (let step = 0; step < 9; step++) {
      const disk = written(2, `power ${seed} ${step}`);
      let acknowledged = 2;
      const file = new VoteFile(disk, path);
      disk.crashAfter(step);
      assert.throws(() => {
        for (let term = 3; ; term++) {
          file.write(voteFor(term));
          acknowledged = term;
        }
      }, isPowerCut);
      const { record } = readVoteFile(disk, path);
      const term = record.vote?.term;
      assert.ok(term === acknowledged || term === acknowledged + 1, `${term} after ${acknowledged}`);
      assert.deepEqual(record, voteFor(term));
      if (term === acknowledged) kept++;
      else came++;
      // And it goes on from there.
      const again = new VoteFile(disk, path);
      again.write(voteFor(term + 1));
      disk.crash();
      assert.deepEqual(readVoteFile(disk, path).record, voteFor(term + 1));
    }
  }
  assert.ok(kept > 50 && came > 50, `${kept} and ${came}`);
});

test("a vote that a new process read from the page cache is durable after its first write", () => {
  for (let seed = 0; seed < 50; seed++) {
    const disk = written(2, seed);
    const file = new VoteFile(disk, path);
    disk.faults.syncFails = 1;
    assert.throws(() => file.write(voteFor(3)), DiskUncertain);
    assert.throws(() => file.write(voteFor(3)), DiskUncertain);
    disk.kill();
    const next = new VoteFile(disk, path);
    assert.equal(next.record.vote?.term, 3);
    next.write({ ...next.record, boot: undefined });
    disk.crash();
    assert.deepEqual(readVoteFile(disk, path).record, { vote: { term: 3, vote: 21 }, boot: undefined });
  }
});

test("a write that the disk refuses leaves the vote, and can be made again", () => {
  const disk = written(3);
  const file = new VoteFile(disk, path);
  for (let term = 4; term < 8; term++) {
    // A part of it may have been written, or all of it.
    disk.faults.writeFails = 1;
    assert.throws(() => file.write(voteFor(term)), { code: "EIO" });
    assert.ok([term - 1, term].includes(readVoteFile(disk, path).record.vote?.term ?? 0));
    assert.equal(file.record.vote?.term, term - 1);
    file.write(voteFor(term));
    assert.deepEqual(readVoteFile(disk, path).record, voteFor(term));
  }
});

test("a receipt that is torn or cannot be written changes nothing", () => {
  const disk = written(3);
  const file = disk.open(path, "write");
  for (let bytes = 1; bytes < 28; bytes++) {
    file.write(encodeReceipt({ vote: 99, state: 99 }).subarray(0, bytes), 16384);
    const { record, receipt } = readVoteFile(disk, path);
    assert.deepEqual(record, voteFor(3));
    assert.deepEqual(receipt, bytes <= 8 ? { vote: 4, state: 0 } : { vote: 0, state: 0 });
  }
});

test("a full disk refuses no vote", (t) => {
  const home = scratch(t);
  using disk = SmallDisk.mount(home, 256 * 1024);
  const file = `${home}/vote`;
  writeVoteFile(systemDisk, file, emptyVote);
  disk?.fill();
  const open = new VoteFile(systemDisk, file);
  for (let term = 1; term <= 200; term++) open.write(voteFor(term));
  open.close();
  assert.deepEqual(readVoteFile(systemDisk, file).record, voteFor(200));
  if (disk === undefined) t.diagnostic("needs root, to mount a small file system: the disk was not full");
});
