import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  checkCaller,
  checkResponder,
  decodeIntroduction,
  decodeRefusal,
  defaultGroup,
  encodeIntroduction,
  encodeRefusal,
  type HandshakeContext,
  type Introduction,
  type PeerHello,
  peerProtocol,
  type RefusalReason,
  refusalFault,
} from "../../../../src/peer/handshake/handshake.ts";
import type { EncodedPeerFrame, PeerFrame } from "../../../../src/peer/wire/peer-frame.ts";
import { prefixBytes } from "../../../../src/peer/wire/peer-frame.ts";
import { pack } from "../../../../src/replication/entries.ts";

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
  lane: "control",
  hello: hello("b"),
  ...fields,
});
const judge = (fields: Partial<HandshakeContext> = {}): HandshakeContext => ({
  self: hello("a"),
  directoryOf: () => undefined,
  allowed: () => undefined,
  ...fields,
});
const frameOf = ({ chunks }: EncodedPeerFrame): PeerFrame => {
  const bytes = Buffer.concat(chunks);
  return { kind: "hello", head: bytes.subarray(prefixBytes), body: new Uint8Array(0) };
};

describe("the handshake of peers", () => {
  test("an introduction comes out as it went in, with and without a cluster", () => {
    for (const clusterId of ["c1", undefined]) {
      const sent = hello("b", { clusterId, configured: false });
      assert.deepEqual(
        decodeIntroduction(frameOf(encodeIntroduction("hello", "bulk", sent))),
        caller({ lane: "bulk", hello: sent }),
      );
    }
  });

  test("a member of the same cluster is let in on every lane", () => {
    for (const lane of ["control", "bulk", "visit"] as const) {
      assert.equal(checkCaller(caller({ lane }), judge()), undefined);
      const directoryOf = (): string => hello("b").directory;
      assert.equal(checkCaller(caller({ lane }), judge({ directoryOf })), undefined);
    }
  });

  const refusals: [string, RefusalReason, Introduction, HandshakeContext, RegExp][] = [
    [
      "one that is not permitted",
      "not-permitted",
      caller(),
      judge({ allowed: ({ name }) => `the certificate does not name ${name}` }),
      /certificate does not name b/,
    ],
    [
      "one that speaks another protocol",
      "other-version",
      caller({ protocol: 2 }),
      judge(),
      /protocol 2 \(version 1\.2\.3\), this node 1/,
    ],
    ["one of another group", "other-group", caller({ group: "orders" }), judge(), /no group orders/],
    [
      "one of another cluster",
      "other-cluster",
      caller({ hello: hello("b", { clusterId: "c2" }) }),
      judge(),
      /b belongs to cluster c2, a to c1/,
    ],
    [
      "one that belongs to no cluster yet",
      "no-cluster",
      caller({ hello: hello("b", { clusterId: undefined }) }),
      judge(),
      /b belongs to no cluster/,
    ],
    [
      "any, while this node belongs to no cluster",
      "no-cluster",
      caller(),
      judge({ self: hello("a", { clusterId: undefined }) }),
      /a belongs to no cluster/,
    ],
    [
      "one with another directory under a member's name",
      "other-directory",
      caller(),
      judge({ directoryOf: (name) => (name === "b" ? "0".repeat(32) : undefined) }),
      /member b has directory 0+, the caller b+/,
    ],
    ["itself", "self", caller({ hello: hello("a") }), judge(), /called itself/],
  ];
  for (const [what, reason, from, by, message] of refusals) {
    test(`refuses ${what}`, () => {
      const refusal = checkCaller(from, by);
      assert.equal(refusal?.reason, reason);
      assert.match(refusal?.message ?? "", message);
    });
  }

  test("who is not permitted learns nothing of the cluster, whatever else is wrong", () => {
    const from = caller({ protocol: 9, hello: hello("b", { clusterId: "c2" }) });
    const refusal = checkCaller(from, judge({ allowed: () => "no" }));
    assert.deepEqual(refusal, { reason: "not-permitted", message: "no" });
  });

  test("a visit may come from a node without a cluster, or with a new directory; not from another cluster", () => {
    const visit = (fields: Partial<PeerHello>): Introduction =>
      caller({ lane: "visit", hello: hello("b", fields) });
    const directoryOf = (): string => "0".repeat(32);
    assert.equal(checkCaller(visit({ clusterId: undefined }), judge()), undefined);
    assert.equal(checkCaller(visit({}), judge({ directoryOf })), undefined);
    assert.equal(checkCaller(visit({ clusterId: "c2" }), judge())?.reason, "other-cluster");
  });

  test("who answers must be the member that was called", () => {
    const self = hello("a");
    const expected = hello("b");
    assert.equal(checkResponder(caller(), self, expected), undefined);
    assert.equal(checkResponder(caller(), self, undefined), undefined);
    assert.equal(checkResponder(caller({ hello: hello("c") }), self, expected)?.reason, "other-node");
    const wiped = caller({ hello: hello("b", { directory: "0".repeat(32) }) });
    assert.equal(checkResponder(wiped, self, expected)?.reason, "other-directory");
    assert.equal(checkResponder(caller({ hello: hello("a") }), self, undefined)?.reason, "self");
    assert.equal(checkResponder(caller({ protocol: 3 }), self, expected)?.reason, "other-version");
  });

  test("a refusal tells the caller why, as a fault of its kind", () => {
    const kinds: Partial<Record<RefusalReason, string>> = {
      "not-permitted": "permission-denied",
      "other-version": "unsupported-version",
      "other-directory": "foreign-directory",
      "other-cluster": "failed-precondition",
    };
    for (const [reason, kind] of Object.entries(kinds)) {
      const told = decodeRefusal(frameOf(encodeRefusal({ reason: reason as RefusalReason, message: "why" })));
      const fault = refusalFault(told);
      assert.equal(fault.kind, kind);
      assert.equal(fault.message, "why");
      assert.equal(fault.facts["reason"], reason);
    }
    const later: PeerFrame = {
      ...frameOf(encodeRefusal({ reason: "self", message: "m" })),
      head: pack({ reason: "new", message: "m" }),
    };
    assert.equal(decodeRefusal(later).reason, "not-permitted");
  });

  test("introductions that are none are refused", () => {
    const good = { protocol: 1, group: "default", lane: "control", hello: hello("b") };
    const wrong: unknown[] = [
      null,
      [],
      { ...good, protocol: "1" },
      { ...good, lane: "express" },
      { ...good, group: "" },
      { ...good, hello: undefined },
      { ...good, hello: { ...good.hello, name: "" } },
      { ...good, hello: { ...good.hello, name: "n".repeat(256) } },
      { ...good, hello: { ...good.hello, directory: "xyz" } },
      { ...good, hello: { ...good.hello, clusterId: 5 } },
      { ...good, hello: { ...good.hello, configured: 1 } },
      { ...good, hello: { ...good.hello, wallMs: Number.POSITIVE_INFINITY } },
    ];
    for (const value of wrong) {
      const frame: PeerFrame = { kind: "hello", head: pack(value), body: new Uint8Array(0) };
      assert.throws(
        () => decodeIntroduction(frame),
        (reason) => reason instanceof Fault && reason.kind === "bad-request",
      );
    }
    assert.throws(() => decodeRefusal({ kind: "refusal", head: pack([1]), body: new Uint8Array(0) }), Fault);
  });
});
