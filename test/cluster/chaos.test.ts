/**
 * A short chaos run with three real nodes. test/long has longer ones; `npm run chaos` takes any length.
 */
import { test } from "node:test";
import { testChaos } from "../chaos/chaos-test.ts";

test("three nodes under all faults lose, duplicate, reorder and invent no record", async (t) => {
  await testChaos(t, { nodes: 3, seconds: 12, seed: 1, tempo: 0.5, rate: 150, faults: 5, acked: 800 });
});
