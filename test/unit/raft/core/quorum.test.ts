import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { jointVote, majorityIndex, majorityVote } from "../../../../src/raft/core/mod.ts";

const peers = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 });

test("a majority's index is the highest that more than half have reached", () => {
  fc.assert(
    fc.property(
      peers,
      fc.array(fc.option(fc.nat(20)), { minLength: 10, maxLength: 10 }),
      (voters, values) => {
        const at = (peer: number): number => values[peer] ?? 0;
        const index = majorityIndex(new Set(voters), (peer) => values[peer] ?? undefined);
        if (voters.length === 0) return index === Number.POSITIVE_INFINITY;
        const reached = (limit: number): boolean =>
          voters.filter((peer) => at(peer) >= limit).length * 2 > voters.length;
        return reached(index) && !reached(index + 1);
      },
    ),
    { seed: 5, numRuns: 2000 },
  );
});

test("a vote is won or lost exactly when no later vote can change the result", () => {
  fc.assert(
    fc.property(
      peers,
      fc.array(fc.option(fc.boolean()), { minLength: 10, maxLength: 10 }),
      (voters, votes) => {
        const set = new Set(voters);
        const now = majorityVote(set, (peer) => votes[peer] ?? undefined);
        const allYes = majorityVote(set, (peer) => votes[peer] ?? true);
        const allNo = majorityVote(set, (peer) => votes[peer] ?? false);
        return now === (allYes === allNo ? allYes : "pending");
      },
    ),
    { seed: 5, numRuns: 2000 },
  );
});

test("a joint vote is lost if either half is lost, and won only if both are won", () => {
  const yes = (): boolean => true;
  assert.equal(jointVote({ incoming: new Set([1]), outgoing: new Set([2]) }, yes), "won");
  assert.equal(
    jointVote({ incoming: new Set([1]), outgoing: new Set([2]) }, (peer) => peer === 1),
    "lost",
  );
  assert.equal(
    jointVote({ incoming: new Set([1]), outgoing: new Set([2]) }, (peer) => (peer === 1 ? true : undefined)),
    "pending",
  );
});
