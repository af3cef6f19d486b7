/**
 * Many random histories of gossip clusters (see gossip-chaos). TAILRACE_SEEDS=A..B sets the seeds.
 */
import { test } from "node:test";
import { runGossipChaos } from "../sim/membership/gossip-chaos.ts";

const [from = 1_000, to = 1_399] = (process.env["TAILRACE_SEEDS"] ?? "")
  .split("..")
  .filter(Boolean)
  .map(Number);

test(`gossip clusters of the seeds ${from} to ${to} agree in the end`, () => {
  for (let seed = from; seed <= to; seed++) runGossipChaos(seed);
});
