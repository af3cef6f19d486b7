import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { encodePeerFrame, prefixBytes } from "../../../../src/peer/wire/peer-frame.ts";

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (reason) {
    if (reason instanceof Fault) return reason;
    throw reason;
  }
  throw new Error("nothing was thrown");
}

describe("the encoding of peer frames", () => {
  test("references the pieces of a large body", () => {
    const piece = new Uint8Array(5000);
    const { chunks, bytes } = encodePeerFrame("append", Uint8Array.of(1), [piece, piece]);
    assert.equal(chunks[1], piece);
    assert.equal(chunks[2], piece);
    assert.equal(bytes, prefixBytes + 1 + 10_000);
  });

  test("rejects a head or body beyond the limit of its kind", () => {
    const fault = faultOf(() => encodePeerFrame("ping", new Uint8Array(65)));
    assert.equal(fault.kind, "too-large");
    assert.equal(
      faultOf(() => encodePeerFrame("message", new Uint8Array(1), [new Uint8Array(1)])).kind,
      "too-large",
    );
  });
});
