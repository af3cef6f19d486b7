/** Thousands of tails that are closed and reset. test/wire/hostile/hostile.test.ts has fewer. */
import { test } from "node:test";
import { createFastPath } from "../../src/api/mod.ts";
import { dropTails, resetTails } from "../wire/hostile/dropped-tails.ts";

for (const [lane, options] of Object.entries({ reference: {}, "fast path": { fastPath: createFastPath } })) {
  test(`ten thousand tails that are opened and dropped leave nothing behind, ${lane}`, () =>
    dropTails(20, options));
  test(`four thousand tails that are reset as soon as they are opened leave nothing behind, ${lane}`, () =>
    resetTails(40, options));
}
