import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { type EncodedPeerFrame, type PeerFrame, preamble } from "../../../../src/peer/wire/peer-frame.ts";
import { PeerFrameReader } from "../../../../src/peer/wire/peer-frame-reader.ts";
import {
  appendedFromValue,
  appendedToValue,
  decodeResponse,
  encodeFailure,
  encodeResponse,
  offsetFromValue,
} from "../../../../src/peer/wire/response-codec.ts";

/** Sends a frame through a stream and returns the received one. */
function transfer({ chunks }: EncodedPeerFrame): PeerFrame {
  let found: PeerFrame | undefined;
  const reader = new PeerFrameReader((frame) => {
    found = { ...frame, head: Uint8Array.from(frame.head) };
  });
  reader.completeHandshake();
  reader.push(Buffer.concat([preamble, ...chunks]));
  assert.ok(found);
  return found;
}

const kindOf = (work: () => unknown): string => {
  try {
    work();
  } catch (reason) {
    assert.ok(reason instanceof Fault, String(reason));
    return reason.kind;
  }
  return "taken";
};

describe("responses between nodes", () => {
  test("a response has a value or a fault; a value that cannot be sent becomes a fault", () => {
    const value = decodeResponse(transfer(encodeResponse(9, [1, "x"])));
    assert.deepEqual(value, { id: 9, value: [1, "x"], fault: undefined });
    const failed = decodeResponse(
      transfer(encodeFailure(9, new Fault("disk-full", { facts: { freeBytes: 1 } }))),
    );
    assert.equal(failed.fault?.kind, "disk-full");
    assert.deepEqual(failed.fault?.facts, { freeBytes: 1 });
    assert.equal(decodeResponse(transfer(encodeResponse(9, new Date(0)))).fault !== undefined, true);
    const huge = decodeResponse(transfer(encodeResponse(9, "x".repeat(5_000_000))));
    assert.equal(huge.fault?.kind, "too-large");
  });

  test("an invalid result has an unknown outcome", () => {
    const appended = { firstOffset: 3, count: 2, timestampMs: 5, duplicate: true };
    assert.deepEqual(appendedFromValue(appendedToValue(appended)), appended);
    const ofStream = { ...appended, logId: 7, sequence: 4 };
    assert.deepEqual(appendedFromValue(appendedToValue(ofStream)), ofStream);
    assert.equal(
      kindOf(() => appendedFromValue([1, 1, 1, true, 7, -1])),
      "unknown",
    );
    for (const value of [undefined, 1, [], [1, 2, 3], [-1, 1, 1, true], [1, 1, 1, 1]]) {
      assert.equal(
        kindOf(() => appendedFromValue(value)),
        "unknown",
      );
    }
    assert.equal(offsetFromValue(4), 4);
    assert.equal(
      kindOf(() => offsetFromValue("4")),
      "unknown",
    );
  });

  test("random heads and bodies are decoded or rejected as bad requests", () => {
    const random = prng("response noise");
    const response = transfer(encodeResponse(1, [1, 2, 3, true]));
    const ends = new Map<string, number>();
    for (let round = 0; round < 10_000; round++) {
      const [head, body] = [Uint8Array.from(response.head), Uint8Array.from(response.body)];
      for (let flips = random.between(1, 3); flips > 0; flips--) {
        const part = random.chance(0.7) ? head : body;
        part[random.between(0, part.length - 1)] = random.between(0, 255);
      }
      const cut = random.chance(0.2) ? head.subarray(0, random.between(0, head.length)) : head;
      const end = kindOf(() => decodeResponse({ ...response, head: cut, body }));
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    assert.deepEqual([...ends.keys()].toSorted(), ["bad-request", "taken"]);
  });
});
