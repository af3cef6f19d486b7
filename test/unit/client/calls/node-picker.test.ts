import assert from "node:assert/strict";
import { test } from "node:test";
import { type KnownServer, NodePicker } from "../../../../src/client/calls/node-picker.ts";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import type { Role } from "../../../../src/types.ts";

const server = (addr: string, role: Role, term = 1): KnownServer => ({
  id: addr,
  addr,
  role,
  isLeader: role === "leader",
  term,
});
const three = [server("a:1", "leader"), server("b:1", "follower"), server("c:1", "follower")];
const picks = (picker: NodePicker, purpose: "append" | "read", times: number, nowMs = 0): string[] =>
  Array.from({ length: times }, () => picker.pick(purpose, nowMs));

test("picking without any address fails as unavailable", () => {
  assert.throws(
    () => new NodePicker([]).pick("append", 0),
    (reason) => reason instanceof Fault && reason.kind === "unavailable" && reason.written === "no",
  );
});

test("appends go to the leader", () => {
  const picker = new NodePicker(["b:1"]);
  picker.update(three);
  assert.deepEqual(picks(picker, "append", 5), Array(5).fill("a:1"));
});

test("reads go to the followers in turn", () => {
  const picker = new NodePicker(["a:1"]);
  picker.update(three);
  assert.deepEqual(picks(picker, "read", 4), ["b:1", "c:1", "b:1", "c:1"]);
});

test("the leader serves reads if there is no follower, and learners only if there is no other node", () => {
  const picker = new NodePicker(["a:1"]);
  picker.update([server("a:1", "leader"), server("l:1", "learner")]);
  assert.deepEqual(picks(picker, "read", 3), ["a:1", "a:1", "a:1"]);
  picker.failed("a:1", 10);
  assert.deepEqual(picks(picker, "read", 2), ["l:1", "l:1"]);
});

test("the seeds are tried in turn until the nodes are known", () => {
  const picker = new NodePicker(["a:1", "b:1"]);
  assert.deepEqual(picks(picker, "append", 3), ["a:1", "b:1", "a:1"]);
});

test("a node that failed is avoided for a while, and appends go to another node", () => {
  const picker = new NodePicker(["a:1"]);
  picker.update(three);
  picker.failed("a:1", 100);
  assert.deepEqual(new Set(picks(picker, "append", 4, 99)), new Set(["b:1", "c:1"]));
  assert.deepEqual(picks(picker, "append", 2, 100), ["a:1", "a:1"]);
  picker.failed("b:1", 200);
  assert.deepEqual(picks(picker, "read", 3, 150), ["c:1", "c:1", "c:1"]);
  picker.succeeded("b:1");
  assert.equal(new Set(picks(picker, "read", 2, 150)).size, 2);
});

test("if all nodes are avoided, the one whose wait ends first is picked, and the seeds are kept", () => {
  const picker = new NodePicker(["seed:1"]);
  picker.update(three);
  for (const [addr, untilMs] of [
    ["a:1", 50],
    ["b:1", 40],
    ["c:1", 60],
  ] as const)
    picker.failed(addr, untilMs);
  assert.equal(picker.pick("append", 0), "seed:1");
  picker.failed("seed:1", 45);
  assert.equal(picker.pick("append", 0), "b:1");
});

test("a call that has tried every node begins again with another node than the last", () => {
  const picker = new NodePicker(["b:1"]);
  picker.update(three.slice(1)); // no leader
  const avoid = new Set<string>();
  let last = "";
  const chance = prng("other calls");
  for (let n = 0; n < 60; n++) {
    for (let others = chance.between(0, 2); others > 0; others--) picker.pick("read", 0);
    const addr = picker.pick("read", 0, avoid);
    assert.notEqual(addr, last, `pick ${n}`);
    avoid.add(addr);
    last = addr;
  }
  const alone = new NodePicker(["a:1"]);
  assert.equal(alone.pick("read", 0, new Set(["a:1"])), "a:1");
});

test("a leader with an older term does not replace a newer one, unless that one has failed", () => {
  const picker = new NodePicker(["a:1"]);
  picker.update([server("a:1", "follower", 5), server("b:1", "leader", 5)]);
  picker.update([server("a:1", "leader", 4), server("b:1", "follower", 4)]);
  assert.equal(picker.leader, "b:1");
  picker.failed("b:1", 100);
  picker.update([server("a:1", "leader", 4), server("b:1", "follower", 4)]);
  assert.equal(picker.leader, "a:1");
});

test("a node that names no leader changes nothing in the same term, unless the leader has failed", () => {
  const nameless = (term: number): KnownServer[] => [
    server("a:1", "follower", term),
    server("b:1", "follower", term),
  ];
  const picker = new NodePicker(["a:1"]);
  picker.update([server("a:1", "leader", 5), server("b:1", "follower", 5)]);
  picker.update(nameless(5));
  assert.deepEqual([picker.leader, picker.knowsLeader], ["a:1", true]);
  picker.failed("a:1", 100);
  assert.equal(picker.knowsLeader, false);
  picker.update(nameless(5));
  assert.equal(picker.leader, undefined);
  picker.update([server("a:1", "leader", 5), server("b:1", "follower", 5)]);
  picker.succeeded("a:1");
  picker.update(nameless(6));
  assert.deepEqual([picker.leader, picker.knowsLeader], [undefined, false]);
});

test("a node that names the leader changes the leader", () => {
  const picker = new NodePicker(["a:1"]);
  picker.update(three);
  picker.setLeader("c:1", "10.0.0.3:1");
  assert.equal(picker.pick("append", 0), "c:1", "found by its id, at its address for clients");
  picker.setLeader("d", "d:1");
  assert.equal(picker.pick("append", 0), "d:1", "a node that is new, at the address that came with it");
  picker.setLeader(undefined);
  assert.notEqual(picker.pick("append", 0), undefined);
});
