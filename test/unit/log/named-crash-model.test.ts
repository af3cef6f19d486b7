import { test } from "node:test";
import fc from "fast-check";
import { worlds } from "./model/log-arbitrary.ts";
import { namedSteps } from "./model/named-arbitrary.ts";
import { runNamedModel } from "./model/named-model.ts";

test("named logs on a failing disk agree with their model, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(worlds, namedSteps, async (world, list) => {
      const settings = { ...world.settings, retentionAgeMs: 0 };
      await runNamedModel({ ...world, settings }, list);
    }),
    { numRuns: 100, seed: 20261129 },
  );
});
