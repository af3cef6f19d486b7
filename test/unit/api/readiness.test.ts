import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeView } from "../../../src/api/cluster-view.ts";
import { reasonsNotReady } from "../../../src/api/readiness.ts";

const node = (id: string, healthy: boolean): NodeView => ({
  id,
  rpcAddr: `${id}:1`,
  role: "follower",
  isLeader: false,
  term: 1,
  commitIndex: 0,
  appliedIndex: 0,
  lastOffset: 0,
  lag: 0,
  lastContactMs: 0,
  version: "",
  healthy,
});
const nodes = () => [node("a", true), node("b", false), node("c", false)];
const because = (...reasons: string[]) => ({ reasons: () => reasons });

test("without a leader and a majority, the reason names the members to start again", () => {
  const [first, second] = reasonsNotReady({ leaderId: undefined, nodes }, because("there is no leader"));
  assert.equal(first, "there is no leader");
  assert.match(second ?? "", /^quorum lost: 1 of 3 voters responds/);
  assert.deepEqual(reasonsNotReady({ leaderId: "b", nodes }, because()), []);
});

test("for a node that its members refuse, the reason says why, and gives no advice to start members or to recover", () => {
  const refusals = () => ["c belongs to cluster 1, a to 2"];
  assert.deepEqual(
    reasonsNotReady({ leaderId: undefined, nodes, refusals }, because("no leader is known yet")),
    ["no leader is known yet", "c belongs to cluster 1, a to 2"],
  );
  const said = "this node was removed from its cluster";
  assert.deepEqual(
    reasonsNotReady(
      { leaderId: undefined, nodes, refusals: () => [`${said}, its members are at b:1`] },
      because(said),
    ),
    [said],
  );
});
