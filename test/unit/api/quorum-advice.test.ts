import assert from "node:assert/strict";
import { test } from "node:test";
import { quorumAdvice } from "../../../src/api/quorum-advice.ts";

const voter = (id: string, healthy: boolean, role = "follower") => ({ id, role, healthy });

test("a majority that responds is a quorum, and learners do not count", () => {
  assert.equal(quorumAdvice([voter("a", true, "leader"), voter("b", true), voter("c", false)]), undefined);
  assert.equal(quorumAdvice([voter("a", true, "leader")]), undefined);
  assert.equal(quorumAdvice([]), undefined);
  assert.match(
    quorumAdvice([
      voter("a", true, "candidate"),
      voter("b", false),
      voter("c", false),
      voter("d", true, "learner"),
    ]) ?? "",
    /^quorum lost: 1 of 3 voters responds, 2 are needed to write; start b, c again, or/,
  );
});
