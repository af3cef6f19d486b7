/** Chaos runs with real processes, longer than in test/cluster. TAILRACE_SEED sets the seed. */
import { test } from "node:test";
import { testChaos } from "../chaos/chaos-test.ts";

const seed = process.env["TAILRACE_SEED"] ?? 2;
const often = { seed, tempo: 1, rate: 200, faults: 20, acked: 10_000, every: true } as const;

test("three nodes under all faults lose, duplicate, reorder and invent no record", async (t) => {
  await testChaos(t, { nodes: 3, seconds: 100, ...often });
});

test("five nodes under all faults lose, duplicate, reorder and invent no record", async (t) => {
  await testChaos(t, { nodes: 5, seconds: 80, ...often });
});

test("three nodes over mutual TLS lose, duplicate, reorder and invent no record", async (t) => {
  await testChaos(t, { nodes: 3, seconds: 80, ...often, acked: 5_000, tls: true });
});
