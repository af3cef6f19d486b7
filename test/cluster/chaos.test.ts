/**
 * Half a minute of chaos with three real nodes. test/long has more of it; `npm run chaos` as much as one likes.
 */
import { test } from "node:test";
import { testChaos } from "../support/chaos/chaos-test.ts";

test("three nodes under every fault lose, double, reorder and invent nothing", async (t) => {
  await testChaos(t, { nodes: 3, seconds: 30, seed: 1, tempo: 0.5, rate: 150, faults: 10, acked: 2_000 });
});
