import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  checkCaller,
  checkResponder,
  type HandshakeContext,
} from "../../../../src/peer/handshake/handshake-check.ts";
import {
  defaultGroup,
  type Introduction,
  type PeerHello,
  peerProtocol,
} from "../../../../src/peer/handshake/introduction.ts";
import type { RefusalReason } from "../../../../src/peer/handshake/refusal.ts";

const hello = (name: string, fields: Partial<PeerHello> = {}): PeerHello => ({
  name,
  directory: name.repeat(32).slice(0, 32),
  clusterId: "c1",
  configured: true,
  version: "1.2.3",
  address: `${name}:8400`,
  wallMs: 1_700_000_000_000,
  ...fields,
});
const caller = (fields: Partial<Introduction> = {}): Introduction => ({
  protocol: peerProtocol,
  group: defaultGroup,
  purpose: "control",
  hello: hello("b"),
  ...fields,
});
const context = (fields: Partial<HandshakeContext> = {}): HandshakeContext => ({
  self: hello("a"),
  directoryOf: () => undefined,
  denied: () => undefined,
  ...fields,
});
describe("the check of an introduction", () => {
  test("accepts a member of the same cluster for each purpose", () => {
    for (const purpose of ["control", "bulk", "probe"] as const) {
      assert.equal(checkCaller(caller({ purpose }), context()), undefined);
      const directoryOf = (): string => hello("b").directory;
      assert.equal(checkCaller(caller({ purpose }), context({ directoryOf })), undefined);
    }
  });

  const refusals: [string, RefusalReason, Introduction, HandshakeContext, RegExp][] = [
    [
      "a caller without permission",
      "not-permitted",
      caller(),
      context({ denied: ({ name }) => `the certificate does not name ${name}` }),
      /certificate does not name b/,
    ],
    [
      "a caller with another protocol",
      "other-version",
      caller({ protocol: 2 }),
      context(),
      /protocol 2 \(version 1\.2\.3\), this node 1/,
    ],
    ["a caller of another group", "other-group", caller({ group: "orders" }), context(), /no group orders/],
    [
      "a caller of another cluster",
      "other-cluster",
      caller({ hello: hello("b", { clusterId: "c2" }) }),
      context(),
      /b belongs to cluster c2, a to c1/,
    ],
    [
      "a caller without a cluster",
      "no-cluster",
      caller({ hello: hello("b", { clusterId: undefined }) }),
      context(),
      /b belongs to no cluster/,
    ],
    [
      "every caller while this node has no cluster",
      "no-cluster",
      caller(),
      context({ self: hello("a", { clusterId: undefined }) }),
      /a belongs to no cluster/,
    ],
    [
      "a caller with a member's name and another directory",
      "other-directory",
      caller(),
      context({ directoryOf: (name) => (name === "b" ? "0".repeat(32) : undefined) }),
      /member b has directory 0+, the caller b+/,
    ],
    ["itself", "self", caller({ hello: hello("a") }), context(), /called itself/],
  ];
  for (const [what, reason, from, by, message] of refusals) {
    test(`refuses ${what}`, () => {
      const refusal = checkCaller(from, by);
      assert.equal(refusal?.reason, reason);
      assert.match(refusal?.message ?? "", message);
    });
  }

  test("tells a caller without permission nothing about the cluster", () => {
    const from = caller({ protocol: 9, hello: hello("b", { clusterId: "c2" }) });
    const refusal = checkCaller(from, context({ denied: () => "no" }));
    assert.deepEqual(refusal, { reason: "not-permitted", message: "no" });
  });

  test("accepts a probe from a node without a cluster or with a new directory, but not from another cluster", () => {
    const probe = (fields: Partial<PeerHello>): Introduction =>
      caller({ purpose: "probe", hello: hello("b", fields) });
    const directoryOf = (): string => "0".repeat(32);
    assert.equal(checkCaller(probe({ clusterId: undefined }), context()), undefined);
    assert.equal(checkCaller(probe({}), context({ directoryOf })), undefined);
    assert.equal(checkCaller(probe({ clusterId: "c2" }), context())?.reason, "other-cluster");
  });

  test("refuses a node that responds at the address of another member", () => {
    const self = hello("a");
    const expected = hello("b");
    assert.equal(checkResponder(caller(), self, expected), undefined);
    assert.equal(checkResponder(caller(), self, undefined), undefined);
    assert.equal(checkResponder(caller({ hello: hello("c") }), self, expected)?.reason, "other-node");
    const emptied = caller({ hello: hello("b", { directory: "0".repeat(32) }) });
    assert.equal(checkResponder(emptied, self, expected)?.reason, "other-directory");
    assert.equal(checkResponder(caller({ hello: hello("a") }), self, undefined)?.reason, "self");
    assert.equal(checkResponder(caller({ protocol: 3 }), self, expected)?.reason, "other-version");
  });
});

describe("the level of a log", () => {
  const log = { level: 1, levelOfLog: 1 };

  test("is no matter between nodes that have it, or whose logs do not", () => {
    for (const [ours, theirs] of [
      [log, log],
      [{ level: 1 }, {}],
      [{}, { level: 1, levelOfLog: 0 }],
      [log, { level: 1 }],
    ]) {
      const refusal = checkCaller(caller({ hello: hello("b", theirs) }), context({ self: hello("a", ours) }));
      assert.equal(refusal, undefined);
    }
  });

  test("keeps nodes away that do not have it, whichever of the two calls", () => {
    for (const [ours, theirs, old] of [
      [log, {}, "b"],
      [{}, log, "a"],
    ] as const) {
      const refusal = checkCaller(caller({ hello: hello("b", theirs) }), context({ self: hello("a", ours) }));
      assert.equal(refusal?.reason, "other-version");
      assert.match(refusal!.message, new RegExp(`has level 1, ${old} \\(version 1\\.2\\.3\\) has level 0`));
      const answer = checkResponder(
        caller({ hello: hello("b", theirs) }),
        hello("a", ours),
        hello("b", theirs),
      );
      assert.equal(answer?.reason, "other-version");
    }
  });
});
