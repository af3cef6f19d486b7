import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { Proposals } from "../../../../src/raft/node/proposals.ts";
import { entry } from "../raft-lab.ts";

/** What three entries, at 4 to 6 in term 2, come to when these terms are applied there, one by one or together. */
function outcome(terms: readonly number[], together: boolean): string {
  const proposals = new Proposals(8, 1000);
  let said = "nothing";
  const waiter = {
    applied: (index: number) => {
      said = `applied at ${index}`;
    },
    failed: (reason: Error) => {
      said = Fault.from(reason).written;
    },
  };
  proposals.accepted(waiter, 4, 6, 2);
  const entries = terms.map((term, at) => entry(term, 4 + at));
  if (together) proposals.applied(entries);
  else for (const one of entries) proposals.applied([one]);
  return said;
}

for (const together of [true, false]) {
  test(`a proposal is settled by its last entry, applied ${together ? "together" : "one by one"}`, () => {
    assert.equal(outcome([2, 2, 2], together), "applied at 6");
    assert.equal(outcome([2, 2], together), "nothing");
    assert.equal(outcome([3, 3, 3], together), "no");
  });

  test(`a proposal of which only a part is left is unknown, never "not written", applied ${together ? "together" : "one by one"}`, () => {
    assert.equal(outcome([2, 3, 3], together), "unknown");
    assert.equal(outcome([2, 2, 3], together), "unknown");
  });
}

test("entries before a proposal do not settle it", () => {
  const proposals = new Proposals(8, 1000);
  proposals.accepted({ applied: () => {}, failed: () => {} }, 4, 6, 2);
  proposals.applied([entry(1, 2), entry(1, 3)]);
  assert.equal(proposals.pending, 1);
});

test("entries that this node overwrites in a later term are unknown, because another node may still have them", () => {
  const proposals = new Proposals(8, 1000);
  const said: string[] = [];
  const waiter = (name: string): { applied(): void; failed(reason: Error): void } => ({
    applied: () => said.push(`${name} applied`),
    failed: (reason) => said.push(`${name} ${Fault.from(reason).written}`),
  });
  proposals.accepted(waiter("old"), 4, 6, 2);
  proposals.accepted(waiter("new"), 5, 5, 4);
  assert.deepEqual(said, ["old unknown"]);
  proposals.applied([entry(3, 4), entry(4, 5)]);
  assert.deepEqual(said, ["old unknown", "new applied"]);
});
