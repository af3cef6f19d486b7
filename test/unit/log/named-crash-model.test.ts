import { test } from "node:test";
import fc from "fast-check";
import { worlds } from "./model/log-arbitrary.ts";
import { forkingSteps, namedSteps, settlingSteps } from "./model/named-arbitrary.ts";
import { runNamedModel } from "./model/named-model.ts";

const pace = {
  gainMin: 0,
  gainMinFull: 0,
  mergedShare: 3,
  firstPassMs: 0,
  restMs: 0,
  nextPassMs: 400,
  retryMs: 400,
};

const smallSegments = {
  segmentStoreBytesMax: 150,
  segmentIndexBytesMax: 16,
  segmentAgeMaxMs: 1000,
  retentionAgeMs: 0,
};

test("named logs on a failing disk agree with their model while their segments are settled", async () => {
  const options = { settleBytesPerSecond: Number.POSITIVE_INFINITY, settlePace: pace };
  await fc.assert(
    fc.asyncProperty(worlds, settlingSteps, async (world, list) => {
      const segmentStoreBytesMax = 600 + (world.seed % 4) * 700;
      const settings = { segmentStoreBytesMax };
      await runNamedModel({ ...world, settings }, list, options);
    }),
    { numRuns: 100, seed: 20261130 },
  );
});

test("named logs on a failing disk agree with their model, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(worlds, namedSteps, async (world, list) => {
      const settings = { ...world.settings, retentionAgeMs: 0 };
      await runNamedModel({ ...world, settings }, list);
    }),
    { numRuns: 100, seed: 20261129 },
  );
});

test("forks on a failing disk show what their sources had, whatever happens to these", async () => {
  await fc.assert(
    fc.asyncProperty(worlds, fc.boolean(), forkingSteps, async (world, settles, list) => {
      const settings = { ...world.settings, retentionAgeMs: 0 };
      const settling = { settleBytesPerSecond: Number.POSITIVE_INFINITY, settlePace: pace };
      await runNamedModel({ ...world, settings }, list, settles ? settling : {});
    }),
    { numRuns: 40, seed: 20261201 },
  );
});

test("zeros that were cut off without a sync do not come back behind a sealed segment", async () => {
  const world = { seed: 491036733, settings: smallSegments, asyncFlush: false, frameCacheBytesMax: 0 };
  const list = ["a", "b", "c"].map((log) => ({ change: "create" as const, log }));
  await runNamedModel(world, [
    { kind: "changes", list },
    { kind: "syncFails" },
    { kind: "reopen" },
    { kind: "cut", operations: 0 },
  ]);
});

test("a log opens whose producers all went with a deleted log before their file was written", async () => {
  const world = { seed: 0, settings: smallSegments, asyncFlush: false, frameCacheBytesMax: 0 };
  const changes = (...list: readonly (readonly ["create" | "delete", "a" | "b" | "c" | "d"])[]) => ({
    kind: "changes" as const,
    list: list.map(([change, log]) => ({ change, log })),
  });
  const produce = (producer: number) => ({
    kind: "produce" as const,
    log: "d" as const,
    producer,
    records: 1,
  });
  await runNamedModel(world, [
    ...[changes(["create", "a"], ["create", "b"], ["create", "c"]), changes(["create", "d"])],
    ...[produce(1), produce(0), changes(["delete", "d"], ["create", "a"]), produce(0)],
  ]);
});
