import { test } from "node:test";
import fc from "fast-check";
import { worlds } from "../../support/log/log-arbitrary.ts";
import { namedSteps } from "../../support/log/named-arbitrary.ts";
import { runNamedModel } from "../../support/log/named-model.ts";

test("named logs on a failing disk agree with their model, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(worlds, namedSteps, async (world, list) => {
      const settings = { ...world.settings, retentionAgeMs: 0 };
      await runNamedModel({ ...world, settings }, list);
    }),
    { numRuns: 100, seed: 20261129 },
  );
});
