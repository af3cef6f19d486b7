import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ringLimits } from "../../../web/src/core/limits.ts";
import {
  anchoredScroll,
  atEnd,
  endScroll,
  revealScroll,
  visibleWindow,
} from "../../../web/src/core/window.ts";

const rowHeight = 27;

test("the window covers the viewport, stays within the list and never grows with it", () => {
  fc.assert(
    fc.property(fc.nat(60_000), fc.nat(1_700_000), fc.nat(2000), (count, scrollTop, viewHeight) => {
      const { start, end } = visibleWindow(count, scrollTop, viewHeight, rowHeight, 4);
      assert.ok(start >= 0 && end <= count && start <= end);
      assert.ok(end - start <= Math.ceil(viewHeight / rowHeight) + 10);
      const first = Math.floor(scrollTop / rowHeight);
      if (first < count) assert.ok(start <= first && (viewHeight === 0 || first < end));
    }),
    { seed: 1 },
  );
});

test("the end's scroll is at the end, and a row above is not", () => {
  const end = endScroll(100, 270, rowHeight);
  assert.equal(atEnd(100, end, 270, rowHeight), true);
  assert.equal(atEnd(100, end - rowHeight, 270, rowHeight), false);
  assert.equal(endScroll(3, 270, rowHeight), 0);
  assert.equal(atEnd(3, 0, 270, rowHeight), true);
});

test("the same rows stay in view when others leave above them", () => {
  assert.equal(anchoredScroll(1000 * rowHeight, 400, rowHeight), 600 * rowHeight);
  assert.equal(anchoredScroll(100, 400, rowHeight), 0);
});

test("revealing a row scrolls by no more than is needed", () => {
  assert.equal(revealScroll(5, 0, 270, rowHeight), 0);
  assert.equal(revealScroll(10, 0, 270, rowHeight), rowHeight);
  assert.equal(revealScroll(2, 270, 270, rowHeight), 2 * rowHeight);
});

test("the tallest list is one that browsers can scroll exactly", () => {
  // Browsers lose precision in taller elements.
  const heightMax = 16_000_000;
  assert.ok(ringLimits.recordsMax * 46 < heightMax);
});
