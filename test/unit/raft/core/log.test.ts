import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { RaftLog } from "../../../../src/raft/core/log.ts";
import { emptyConfState } from "../../../../src/raft/mod.ts";
import { MemoryLogStorage } from "../../../support/disk/memory-log-storage.ts";

const entry = (index: number, term: number) => ({ index, term, bytes: new Uint8Array(0), change: undefined });

/** A log whose first entries are in storage, behind a snapshot if `start` is above 0. */
function logOf(start: number, terms: readonly number[], stored: number) {
  let reads = 0;
  class Storage extends MemoryLogStorage {
    override term(index: number): number | undefined {
      reads++;
      return super.term(index);
    }
  }
  const storage = new Storage();
  if (start > 0) {
    storage.install({ index: start, term: 1, configuration: emptyConfState, data: new Uint8Array(0) });
  }
  const entries = terms.map((term, at) => entry(start + 1 + at, term));
  storage.append(entries.slice(0, stored));
  const log = new RaftLog(storage, 1024, () => undefined);
  log.append(entries.slice(stored));
  return { log, reads: () => reads };
}

/** The definition: back from `index`, one entry at a time. */
function walk(log: RaftLog, index: number, term: number): { index: number; term: number } {
  for (let at = index; at > 0; at--) {
    const found = log.term(at);
    if (found === undefined) return { index: at, term: 0 };
    if (found <= term) return { index: at, term: found };
  }
  return { index: 0, term: 0 };
}

test("the hint of a refusal is the last entry of a term that is not above the leader's", () => {
  const chance = prng("hint");
  for (let trial = 0; trial < 300; trial++) {
    const start = chance.between(0, 2) * chance.between(0, 3);
    let term = 1;
    const terms = Array.from({ length: chance.between(0, 12) }, () => {
      if (chance.chance(0.4)) term += chance.between(1, 3);
      return term;
    });
    const { log } = logOf(start, terms, chance.between(0, terms.length));
    for (let index = 0; index <= start + terms.length + 2; index++) {
      for (let asked = 0; asked <= term + 1; asked++) {
        const hint = `${start} ${terms} index ${index} term ${asked}`;
        assert.deepEqual(log.conflictByTerm(index, asked), walk(log, index, asked), hint);
      }
    }
  }
});

test("a peer that names an old term causes no walk through a long log", () => {
  const count = 100_000;
  const { log, reads } = logOf(0, new Array<number>(count).fill(7), count);
  const before = reads();
  assert.deepEqual(log.conflictByTerm(count, 1), { index: 0, term: 0 });
  assert.ok(reads() - before < 100, `${reads() - before} entries were looked at`);
});
