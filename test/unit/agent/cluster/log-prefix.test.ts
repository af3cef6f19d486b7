import assert from "node:assert/strict";
import { test } from "node:test";
import { isBeginningOf } from "../../../../src/agent/cluster/log-prefix.ts";
import { batchKind, chainStart, emptyCheckpoint, encodeFrame, endOfFrame } from "../../../../src/log/mod.ts";

/** A log of no-ops in the given terms, of which the first `gone` are compacted away. */
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
    ends.push(endOfFrame(frame, 0));
    return frame;
  });
  return {
    start: { end: ends[gone]!, checkpoint: emptyCheckpoint },
    end: ends.at(-1)!,
    entries: (from: number) => {
      assert.ok(from > gone, "it is gone");
      return frames.slice(from - 1, from);
    },
  };
}

test("a log is the beginning of another one when both have the same frame where it ends", () => {
  const ours = logOf([1, 1, 1, 2, 2]);
  for (const terms of [[], [1], [1, 1, 1], [1, 1, 1, 2], [1, 1, 1, 2, 2]]) {
    assert.equal(isBeginningOf(ours, logOf(terms).end), true, terms.join());
  }
  // Restored from a later backup than the one that the cluster was begun with: it went another way.
  for (const terms of [[1, 1, 1, 1], [2], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 2, 2, 2]]) {
    assert.equal(isBeginningOf(ours, logOf(terms).end), false, terms.join());
  }
});

test("what ends where the log starts is compared too; what ends before gets a snapshot, whatever it was", () => {
  const ours = logOf([1, 1, 1, 2, 2], 3);
  assert.equal(isBeginningOf(ours, logOf([1, 1, 1]).end), true);
  assert.equal(isBeginningOf(ours, logOf([1, 1, 2]).end), false);
  assert.equal(isBeginningOf(ours, logOf([2, 2]).end), true);
});
