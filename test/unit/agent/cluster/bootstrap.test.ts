import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Founder,
  type FounderAnswer,
  type FounderView,
  judge,
  type StartState,
  sortedFounders,
  startOf,
} from "../../../../src/agent/cluster/bootstrap.ts";

const empty: StartState = {
  configured: false,
  clusterId: undefined,
  hasEntries: false,
  voted: false,
  bootstrap: false,
  bootstrapExpect: undefined,
  joins: false,
};

test("a directory with a configuration is a member, whatever the flags say", () => {
  const flags = { bootstrap: true, bootstrapExpect: 3, joins: true };
  assert.equal(startOf({ ...empty, configured: true, ...flags }), "member");
});

test("an empty directory begins alone, unless it is told of others", () => {
  assert.equal(startOf(empty), "alone");
  assert.equal(startOf({ ...empty, joins: true }), "wait");
  assert.equal(startOf({ ...empty, joins: true, bootstrap: true }), "alone");
  assert.equal(startOf({ ...empty, joins: true, bootstrapExpect: 3 }), "expect");
  assert.equal(startOf({ ...empty, bootstrapExpect: 1 }), "alone");
});

test("a log that was never replicated begins alone in place, also with a join list", () => {
  const old = { ...empty, clusterId: "c", hasEntries: true };
  assert.equal(startOf(old), "alone");
  assert.equal(startOf({ ...old, joins: true, bootstrapExpect: 3 }), "alone");
});

test("who was taken into a cluster, and has no configuration yet, begins nothing of its own", () => {
  const taken = { ...empty, clusterId: "c", joins: true };
  assert.equal(startOf(taken), "adopted");
  assert.equal(startOf({ ...taken, hasEntries: true, voted: true, bootstrapExpect: 3 }), "adopted");
  assert.equal(startOf({ ...taken, voted: true, joins: false }), "adopted");
});

test("a log whose catalog was lost, or that was restored, follows the flags", () => {
  const restored = { ...empty, hasEntries: true };
  assert.equal(startOf(restored), "alone");
  assert.equal(startOf({ ...restored, joins: true }), "wait");
  assert.equal(startOf({ ...restored, joins: true, bootstrap: true }), "alone");
});

test("a log that was restored is none of the empty founders that were expected", () => {
  assert.equal(startOf({ ...empty, hasEntries: true, joins: true, bootstrapExpect: 3 }), "holds");
});

const founder = (name: string, directory = `d-${name}`): Founder => ({
  name,
  directory,
  address: `${name}:1`,
});
const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => founder(name)) as [
  Founder,
  Founder,
  Founder,
  Founder,
];
const viewOf = (founders: readonly Founder[], more: Partial<FounderView> = {}): FounderView => ({
  expect: 3,
  startOffset: 0,
  clusterId: undefined,
  founders: sortedFounders(founders),
  ...more,
});
const seen = (view: FounderView): FounderAnswer => ({ kind: "view", view });
const answersOf = (...pairs: [Founder, FounderAnswer][]): Map<string, FounderAnswer> =>
  new Map(pairs.map(([{ directory }, answer]) => [directory, answer]));
const idOf = (directories: readonly string[]): string => [...directories].sort().join("+");
const whyWait = (...args: Parameters<typeof judge>): string => {
  const verdict = judge(...args);
  return verdict.kind === "wait" ? verdict.why : verdict.kind;
};

test("all who expect each other begin the same cluster, whoever of them decides", () => {
  const view = viewOf([a, b, c]);
  const begun = [a, b, c].map((self) => {
    const others = [a, b, c].filter((one) => one !== self);
    return judge(
      self,
      view,
      answersOf(...others.map((one) => [one, seen(view)] as [Founder, FounderAnswer])),
      idOf,
    );
  });
  for (const verdict of begun) {
    assert.deepEqual(verdict, { kind: "begin", clusterId: "d-a+d-b+d-c", founders: [a, b, c] });
  }
});

test("nobody begins before all are there and see the same", () => {
  const two = viewOf([a, b]);
  assert.match(whyWait(a, two, answersOf([b, seen(two)]), idOf), /^2 of 3 nodes are here/);
  const three = viewOf([a, b, c]);
  const partly = answersOf([b, seen(three)], [c, seen(viewOf([b, c]))]);
  assert.match(whyWait(a, three, partly, idOf), /^c does not see the same nodes yet/);
  const four = viewOf([a, b, c, d]);
  assert.match(whyWait(a, four, answersOf([b, seen(four)]), idOf), /but there are 4$/);
});

test("nobody begins beside somebody who holds a log", () => {
  const holds: FounderAnswer = { kind: "holds", name: "d" };
  const three = viewOf([a, b, c]);
  const answers = answersOf([b, seen(three)], [c, seen(three)], [d, holds]);
  assert.equal(whyWait(a, three, answers, idOf), "d holds a log already");
  assert.equal(whyWait(a, viewOf([a, b]), answersOf([d, holds]), idOf), "d holds a log already");
});

test("overlapping views of four nodes that expect three never begin two clusters", () => {
  const ours = viewOf([a, b, c]);
  const theirs = viewOf([b, c, d]);
  assert.notEqual(judge(a, ours, answersOf([b, seen(theirs)], [c, seen(theirs)]), idOf).kind, "begin");
  assert.notEqual(judge(d, theirs, answersOf([b, seen(ours)], [c, seen(ours)]), idOf).kind, "begin");
});

test("nodes with other flags, or one name for two, do not begin", () => {
  const view = viewOf([a, b, c]);
  const with_ = (other: Partial<FounderView>) =>
    whyWait(a, view, answersOf([b, seen(view)], [c, seen(viewOf([a, b, c], other))]), idOf);
  assert.match(with_({ expect: 5 }), /expects 5 nodes, this one 3/);
  assert.match(with_({ clusterId: "x" }), /another --cluster-id/);
  assert.match(with_({ startOffset: 7 }), /another --initial-offset/);
  const twin = founder("b", "d-z");
  const twins = viewOf([a, b, twin]);
  assert.match(whyWait(a, twins, answersOf([b, seen(twins)], [twin, seen(twins)]), idOf), /same name/);
});

test("an id that was given is taken by all", () => {
  const view = viewOf([a, b, c], { clusterId: "given" });
  const verdict = judge(a, view, answersOf([b, seen(view)], [c, seen(view)]), idOf);
  assert.equal(verdict.kind === "begin" && verdict.clusterId, "given");
});

test("a founder that is late follows what the others have begun, and nobody else does", () => {
  const begun: FounderAnswer = { kind: "begun", clusterId: "c1", founders: [a, b, c] };
  const late = judge(c, viewOf([c, b]), answersOf([a, begun], [b, seen(viewOf([b, c]))]), idOf);
  assert.deepEqual(late, { kind: "begin", clusterId: "c1", founders: [a, b, c] });
  const wiped = judge(founder("c", "d-new"), viewOf([founder("c", "d-new")]), answersOf([a, begun]), idOf);
  assert.deepEqual(wiped, { kind: "forbidden", clusterId: "c1" });
});
