import assert from "node:assert/strict";
import { test } from "node:test";
import { isPrefixOf } from "../../../../../src/agent/cluster/members/log-prefix.ts";
import { batchKind, chainStart, encodeFrame, endAfter } from "../../../../../src/log/mod.ts";

/** A log of no-ops in the given terms, without the first `gone` frames, which are compacted. */
function logOf(terms: readonly number[], gone = 0) {
  const ends = [chainStart];
  const frames = terms.map((term, at) => {
    const header = {
      index: at + 1,
      term,
      baseOffset: 0,
      timestampMs: 0,
      recordCount: 0,
      kind: batchKind.noOp,
    };
    const frame = encodeFrame(header, new Uint8Array(), ends[at]!.crc);
    ends.push(endAfter(ends[at]!, frame, 0));
    return frame;
  });
  return {
    before: ends[gone]!,
    end: ends.at(-1)!,
    entries: (from: number) => {
      assert.ok(from > gone, "the frame is compacted");
      return frames.slice(from - 1, from);
    },
  };
}

test("a log is a prefix of another one if both have the same frame at its end", () => {
  const ours = logOf([1, 1, 1, 2, 2]);
  for (const terms of [[], [1], [1, 1, 1], [1, 1, 1, 2], [1, 1, 1, 2, 2]]) {
    assert.equal(isPrefixOf(ours, logOf(terms).end), true, terms.join());
  }
  // Restored from a later backup than the cluster: the logs have diverged.
  for (const terms of [[1, 1, 1, 1], [2], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 2, 2, 2]]) {
    assert.equal(isPrefixOf(ours, logOf(terms).end), false, terms.join());
  }
});

test("a log that ends at the start of the other is compared, and one that ends before it counts as a prefix", () => {
  const ours = logOf([1, 1, 1, 2, 2], 3);
  assert.equal(isPrefixOf(ours, logOf([1, 1, 1]).end), true);
  assert.equal(isPrefixOf(ours, logOf([1, 1, 2]).end), false);
  assert.equal(isPrefixOf(ours, logOf([2, 2]).end), true);
});
