import { test } from "node:test";
import fc from "fast-check";
import { worlds } from "../unit/log/model/log-arbitrary.ts";
import { namedSteps } from "../unit/log/model/named-arbitrary.ts";
import { runNamedModel } from "../unit/log/model/named-model.ts";

test("named logs agree with their model in many worlds", { timeout: 900_000 }, async () => {
  const seed = Number(process.env["TAILRACE_MODEL_SEED"] ?? Date.now() % 2 ** 31);
  console.log(`model seed ${seed} (TAILRACE_MODEL_SEED=${seed} repeats it)`);
  await fc.assert(
    fc.asyncProperty(worlds, namedSteps, async (world, list) => {
      const settings = { ...world.settings, retentionAgeMs: 0 };
      await runNamedModel({ ...world, settings }, list);
    }),
    { numRuns: 5000, seed },
  );
});
