/** More seeds of the simulator than in test/sim/raft.test.ts. They reach states that are rare. */
import { test } from "node:test";
import { longRun, marks, rareMarks, testSeeds } from "../sim/fixed-seeds.ts";

test(
  `${longRun.seeds} seeds violate no invariant and reach the rare states, too`,
  {
    timeout: 840_000,
  },
  () => testSeeds(longRun, [...marks, ...rareMarks]),
);
