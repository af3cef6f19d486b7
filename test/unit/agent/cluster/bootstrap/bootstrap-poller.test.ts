import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrapReplyOf } from "../../../../../src/agent/cluster/bootstrap/bootstrap-poller.ts";

const self = { name: "a", directory: "0a".repeat(16), address: "a:1" };
const view = { expect: 3, startOffset: 0, clusterId: undefined, founders: [self] };

test("a bootstrap reply is returned unchanged, or refused as malformed", () => {
  for (const answer of [
    { kind: "view", view },
    { kind: "holds", name: "a" },
    { kind: "begun", clusterId: "c", founders: [self] },
  ]) {
    assert.deepEqual(bootstrapReplyOf({ self, answer }), { self, answer });
  }
  const wrong: unknown[] = [
    undefined,
    null,
    5,
    {},
    { self },
    { self: {}, answer: { kind: "view", view } },
    { self: { ...self, directory: "zz" }, answer: { kind: "view", view } },
    { self, answer: { kind: "crown" } },
    { self, answer: { kind: "view" } },
    { self, answer: { kind: "view", view: { ...view, founders: [null] } } },
    { self, answer: { kind: "begun", clusterId: "c", founders: "all" } },
  ];
  for (const one of wrong)
    assert.throws(() => bootstrapReplyOf(one), { kind: "bad-request" }, JSON.stringify(one));
});
