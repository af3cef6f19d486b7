import { test } from "node:test";
import fc from "fast-check";
import { steps, storageSteps, storageWorlds, worlds } from "./model/log-arbitrary.ts";
import { runModel } from "./model/log-model.ts";
import { runStorageModel } from "./model/storage-model.ts";

test("a log on a failing disk agrees with its model, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(worlds, steps, async (world, list) => {
      await runModel(world, list);
    }),
    { numRuns: 400, seed: 20261121 },
  );
});

test("a segmented log agrees with its model under random operations, refusals and crashes", async () => {
  await fc.assert(
    fc.asyncProperty(storageWorlds, storageSteps, (world, list) => runStorageModel(world, list)),
    { numRuns: 400, seed: 20261121 },
  );
});
