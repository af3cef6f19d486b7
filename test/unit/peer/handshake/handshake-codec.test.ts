import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import {
  decodeIntroduction,
  decodeRefusal,
  encodeIntroduction,
  encodeRefusal,
} from "../../../../src/peer/handshake/handshake-codec.ts";
import { defaultGroup, type PeerHello, peerProtocol } from "../../../../src/peer/handshake/introduction.ts";
import { type RefusalReason, refusalFault } from "../../../../src/peer/handshake/refusal.ts";
import { type EncodedPeerFrame, type PeerFrame, prefixBytes } from "../../../../src/peer/wire/peer-frame.ts";
import { pack, unpack } from "../../../../src/replication/storage/msgpack.ts";

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
const frameOf = ({ chunks }: EncodedPeerFrame): PeerFrame => {
  const bytes = Buffer.concat(chunks);
  return { kind: "hello", head: bytes.subarray(prefixBytes), body: new Uint8Array(0) };
};

describe("the frames of the handshake", () => {
  test("an introduction is decoded as it was encoded, with and without a cluster", () => {
    for (const clusterId of ["c1", undefined]) {
      const sent = hello("b", { clusterId, configured: false });
      for (const purpose of ["control", "bulk", "probe"] as const) {
        assert.deepEqual(decodeIntroduction(frameOf(encodeIntroduction("hello", purpose, sent))), {
          protocol: peerProtocol,
          group: defaultGroup,
          purpose,
          hello: sent,
        });
      }
    }
  });

  test("a refusal is decoded as a fault of the kind for its reason", () => {
    const kinds: Partial<Record<RefusalReason, string>> = {
      "not-permitted": "permission-denied",
      "other-version": "unsupported-version",
      "other-directory": "foreign-directory",
      "other-cluster": "failed-precondition",
    };
    for (const [reason, kind] of Object.entries(kinds)) {
      const decoded = decodeRefusal(
        frameOf(encodeRefusal({ reason: reason as RefusalReason, message: "why" })),
      );
      const fault = refusalFault(decoded);
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

  test("invalid introductions are rejected", () => {
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
      { ...good, hello: { ...good.hello, level: -1 } },
      { ...good, hello: { ...good.hello, level: 1.5 } },
      { ...good, hello: { ...good.hello, levelOfLog: "1" } },
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

  test("the levels of a node are sent, and those of an earlier version are not there", () => {
    const sent = { ...hello("b"), level: 1, levelOfLog: 1 };
    const { hello: found } = decodeIntroduction(frameOf(encodeIntroduction("hello", "control", sent)));
    assert.deepEqual([found.level, found.levelOfLog], [1, 1]);
    const { hello: old } = decodeIntroduction(frameOf(encodeIntroduction("hello", "control", hello("b"))));
    assert.deepEqual([old.level, old.levelOfLog], [undefined, undefined]);
  });

  test("a probe is named visit on the wire, as earlier versions name it", () => {
    const { head } = frameOf(encodeIntroduction("hello", "probe", hello("b")));
    assert.equal((unpack(head) as { lane: string }).lane, "visit");
  });
});
