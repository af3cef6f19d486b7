import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type BootstrapAnswer,
  type BootstrapView,
  decideBootstrap,
  type InitialMember,
  type StartState,
  sortedMembers,
  startModeOf,
} from "../../../../../src/agent/cluster/bootstrap/bootstrap.ts";

const empty: StartState = {
  configured: false,
  clusterId: undefined,
  hasEntries: false,
  voted: false,
  bootstrap: false,
  bootstrapExpect: undefined,
  joins: false,
};

test("a directory with a configuration starts as a member with any flags", () => {
  const flags = { bootstrap: true, bootstrapExpect: 3, joins: true };
  assert.equal(startModeOf({ ...empty, configured: true, ...flags }), "member");
});

test("an empty directory bootstraps alone without a join list or --bootstrap-expect", () => {
  assert.equal(startModeOf(empty), "bootstrap");
  assert.equal(startModeOf({ ...empty, joins: true }), "wait");
  assert.equal(startModeOf({ ...empty, joins: true, bootstrap: true }), "bootstrap");
  assert.equal(startModeOf({ ...empty, joins: true, bootstrapExpect: 3 }), "expect");
  assert.equal(startModeOf({ ...empty, bootstrapExpect: 1 }), "bootstrap");
});

test("a log without elections bootstraps alone, also with a join list", () => {
  const old = { ...empty, clusterId: "c", hasEntries: true };
  assert.equal(startModeOf(old), "bootstrap");
  assert.equal(startModeOf({ ...old, joins: true, bootstrapExpect: 3 }), "bootstrap");
});

test("a node that was adopted and has no configuration yet does not bootstrap", () => {
  const adopted = { ...empty, clusterId: "c", joins: true };
  assert.equal(startModeOf(adopted), "adopted");
  assert.equal(startModeOf({ ...adopted, hasEntries: true, voted: true, bootstrapExpect: 3 }), "adopted");
  assert.equal(startModeOf({ ...adopted, voted: true, joins: false }), "adopted");
});

test("a log without a cluster's id, such as a restored one, follows the flags", () => {
  const restored = { ...empty, hasEntries: true };
  assert.equal(startModeOf(restored), "bootstrap");
  assert.equal(startModeOf({ ...restored, joins: true }), "wait");
  assert.equal(startModeOf({ ...restored, joins: true, bootstrap: true }), "bootstrap");
});

test("a node with a restored log is not a initial member of a --bootstrap-expect", () => {
  assert.equal(startModeOf({ ...empty, hasEntries: true, joins: true, bootstrapExpect: 3 }), "has-log");
});

const founder = (name: string, directory = `d-${name}`): InitialMember => ({
  name,
  directory,
  address: `${name}:1`,
});
const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => founder(name)) as [
  InitialMember,
  InitialMember,
  InitialMember,
  InitialMember,
];
const viewOf = (founders: readonly InitialMember[], more: Partial<BootstrapView> = {}): BootstrapView => ({
  expect: 3,
  startOffset: 0,
  clusterId: undefined,
  founders: sortedMembers(founders),
  ...more,
});
const seen = (view: BootstrapView): BootstrapAnswer => ({ kind: "view", view });
const answersOf = (...pairs: [InitialMember, BootstrapAnswer][]): Map<string, BootstrapAnswer> =>
  new Map(pairs.map(([{ directory }, answer]) => [directory, answer]));
const idOf = (directories: readonly string[]): string => [...directories].sort().join("+");
const whyWait = (...args: Parameters<typeof decideBootstrap>): string => {
  const decision = decideBootstrap(...args);
  return decision.kind === "wait" ? decision.why : decision.kind;
};

test("all initial members decide on the same cluster", () => {
  const view = viewOf([a, b, c]);
  const decisions = [a, b, c].map((self) => {
    const others = [a, b, c].filter((one) => one !== self);
    return decideBootstrap(
      self,
      view,
      answersOf(...others.map((one) => [one, seen(view)] as [InitialMember, BootstrapAnswer])),
      idOf,
    );
  });
  for (const decision of decisions) {
    assert.deepEqual(decision, { kind: "bootstrap", clusterId: "d-a+d-b+d-c", founders: [a, b, c] });
  }
});

test("no initial member bootstraps before all initial members see the same nodes", () => {
  const two = viewOf([a, b]);
  assert.match(whyWait(a, two, answersOf([b, seen(two)]), idOf), /^2 of 3 nodes are here/);
  const three = viewOf([a, b, c]);
  const partly = answersOf([b, seen(three)], [c, seen(viewOf([b, c]))]);
  assert.match(whyWait(a, three, partly, idOf), /^c does not see the same nodes yet/);
  const four = viewOf([a, b, c, d]);
  assert.match(whyWait(a, four, answersOf([b, seen(four)]), idOf), /but there are 4 nodes$/);
});

test("no initial member bootstraps while another node has a log", () => {
  const holds: BootstrapAnswer = { kind: "holds", name: "d" };
  const three = viewOf([a, b, c]);
  const answers = answersOf([b, seen(three)], [c, seen(three)], [d, holds]);
  assert.equal(whyWait(a, three, answers, idOf), "d has a log already");
  assert.equal(whyWait(a, viewOf([a, b]), answersOf([d, holds]), idOf), "d has a log already");
});

test("overlapping views of four nodes that expect three do not bootstrap two clusters", () => {
  const ours = viewOf([a, b, c]);
  const theirs = viewOf([b, c, d]);
  assert.notEqual(
    decideBootstrap(a, ours, answersOf([b, seen(theirs)], [c, seen(theirs)]), idOf).kind,
    "bootstrap",
  );
  assert.notEqual(
    decideBootstrap(d, theirs, answersOf([b, seen(ours)], [c, seen(ours)]), idOf).kind,
    "bootstrap",
  );
});

test("nodes with different flags, or with the same name, do not bootstrap", () => {
  const view = viewOf([a, b, c]);
  const with_ = (other: Partial<BootstrapView>) =>
    whyWait(a, view, answersOf([b, seen(view)], [c, seen(viewOf([a, b, c], other))]), idOf);
  assert.match(with_({ expect: 5 }), /expects 5 nodes, this one 3/);
  assert.match(with_({ clusterId: "x" }), /another --cluster-id/);
  assert.match(with_({ startOffset: 7 }), /another --initial-offset/);
  const twin = founder("b", "d-z");
  const twins = viewOf([a, b, twin]);
  assert.match(whyWait(a, twins, answersOf([b, seen(twins)], [twin, seen(twins)]), idOf), /same name/);
});

test("all initial members use the id of --cluster-id", () => {
  const view = viewOf([a, b, c], { clusterId: "given" });
  const decision = decideBootstrap(a, view, answersOf([b, seen(view)], [c, seen(view)]), idOf);
  assert.equal(decision.kind === "bootstrap" && decision.clusterId, "given");
});

test("a late initial member bootstraps the existing cluster, and another node waits to be added", () => {
  const begun: BootstrapAnswer = { kind: "begun", clusterId: "c1", founders: [a, b, c] };
  const late = decideBootstrap(c, viewOf([c, b]), answersOf([a, begun], [b, seen(viewOf([b, c]))]), idOf);
  assert.deepEqual(late, { kind: "bootstrap", clusterId: "c1", founders: [a, b, c] });
  const wiped = decideBootstrap(
    founder("c", "d-new"),
    viewOf([founder("c", "d-new")]),
    answersOf([a, begun]),
    idOf,
  );
  assert.deepEqual(wiped, { kind: "join", clusterId: "c1" });
});
