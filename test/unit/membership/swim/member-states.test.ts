import assert from "node:assert/strict";
import { test } from "node:test";
import { GossipSwim } from "../gossip-swim.ts";

test("an alive message counts with a higher incarnation only", () => {
  const core = new GossipSwim();
  core.alive("a", 2, 5, "old");
  core.alive("a", 2, 5, "same incarnation");
  core.alive("a", 2, 4, "lower incarnation");
  assert.equal(core.record("a")?.meta.toString(), "old");
  core.alive("a", 2, 6, "new");
  assert.equal(core.record("a")?.meta.toString(), "new");
  assert.deepEqual(core.calls, ["join self", "join a", "update a"]);
});

test("a suspect message counts with the same or a higher incarnation, and an alive one refutes it", () => {
  const core = new GossipSwim();
  core.alive("a", 2, 5);
  core.suspect("a", "b", 4);
  assert.equal(core.record("a")?.state, "alive");
  core.suspect("a", "b", 5);
  assert.equal(core.record("a")?.state, "suspect");
  core.alive("a", 2, 5);
  assert.equal(core.record("a")?.state, "suspect");
  core.alive("a", 2, 6);
  assert.equal(core.record("a")?.state, "alive");
  assert.equal(core.context.counters.suspicions, 1);
});

test("incompatible, implausible and refused members, and those beyond the limit, are counted and ignored", () => {
  const core = new GossipSwim();
  core.refused.add("refused");
  core.alive("refused", 2);
  core.alive("incompatible", 2, 1, "", Buffer.from([1, 5, 3, 2, 5, 5]));
  core.alive("implausible", 2, 2 ** 32 - 1);
  for (let count = 0; count < 6; count++) core.alive(`m${count}`, 10 + count);
  const { implausible, incompatible, overflow, refused } = core.context.counters;
  assert.deepEqual([implausible, incompatible, overflow, refused], [1, 1, 2, 1]);
  assert.equal(core.context.table.size, 5);
});

test("a name at another address is a conflict, until its owner has left or was dead for long", () => {
  const core = new GossipSwim();
  core.alive("a", 2);
  core.alive("a", 3, 9);
  assert.deepEqual(core.calls.slice(1), ["join a", "conflict a"]);
  assert.equal(core.record("a")?.at.host, "10.0.0.2");
  core.leaving.add("a");
  core.dead("a", "a");
  core.run(2_000);
  assert.equal(core.record("a")?.state, "left");
  core.alive("a", 3, 9);
  assert.equal(core.record("a")?.at.host, "10.0.0.3");
});

test("a dead message about an unsuspected member only makes it suspect, and not at all if it answers", () => {
  const core = new GossipSwim();
  core.alive("silent", 2);
  core.alive("live", 3);
  core.dead("silent", "b");
  core.dead("live", "b");
  core.run(1_000, core.acknowledge(3));
  assert.equal(core.record("silent")?.state, "suspect");
  assert.notEqual(core.record("live")?.state, "dead");
});
