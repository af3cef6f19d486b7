import assert from "node:assert/strict";
import { test } from "node:test";
import { type Sample, withPast } from "../../../web/src/core/series.ts";

const at = (atMs: number, recordsIn = 0): Sample => ({
  ...{ atMs, recordsIn, recordsOut: 0, bytesIn: 0, bytesOut: 0, p50Ms: undefined, p99Ms: undefined },
});

test("samples of the past fill what the page did not measure, and replace nothing", () => {
  const own = [at(10_000, 1), at(11_000, 1), at(15_000, 1)];
  const past = [8_200, 9_200, 10_200, 11_200, 12_200, 13_200, 14_200].map((ms) => at(ms, 2));
  assert.deepEqual(
    withPast(own, past).map(({ atMs, recordsIn }) => [atMs, recordsIn]),
    [
      ...[
        [8_200, 2],
        [9_200, 2],
        [10_000, 1],
        [11_000, 1],
        [12_200, 2],
        [13_200, 2],
      ],
      ...[
        [14_200, 2],
        [15_000, 1],
      ],
    ],
  );
  assert.deepEqual(withPast([], past), past);
  assert.deepEqual(withPast(own, []), own);
});
