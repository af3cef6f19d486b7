/** Random worlds and steps for the models of the log and of its storage, for fast-check. */
import fc from "fast-check";
import type { Step } from "./log-model.ts";
import type { MachineStep, World } from "./machine-run.ts";
import type { StorageStep, StorageWorld } from "./storage-model.ts";

const size = fc.oneof(
  { weight: 9, arbitrary: fc.nat(40) },
  { weight: 1, arbitrary: fc.integer({ min: 200, max: 3000 }) },
);
/** The sizes of the records of one append. */
export const records = fc.array(size, { minLength: 1, maxLength: 4 });

/** The part of a log before a place: often all of it. */
export const part = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constant(1));

const cut = {
  weight: 4,
  arbitrary: fc.record({ kind: fc.constant("cut" as const), operations: fc.nat(12) }),
};
const end = {
  weight: 2,
  arbitrary: fc.record({ kind: fc.constantFrom("crash" as const, "kill" as const, "reopen" as const) }),
};

/** What can happen to a machine, by weight. */
export const machineSteps: readonly fc.MaybeWeightedArbitrary<MachineStep>[] = [
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.nat(3000) }) },
  cut,
  end,
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("syncFails" as const, "writeFails" as const) }) },
];

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("appends" as const),
      runs: fc.array(records, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("produce" as const),
      producer: fc.nat(2),
      records: fc.integer({ min: 1, max: 3 }),
      retries: fc.nat(1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("trim" as const),
      part,
    }),
  },
  ...machineSteps,
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fill" as const), left: fc.nat(2500) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("free" as const) }) },
);

export const steps: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 1, maxLength: 40 });

export const worlds: fc.Arbitrary<World> = fc.record({
  seed: fc.nat(),
  settings: fc.record({
    segmentStoreBytesMax: fc.constantFrom(150, 600, 2000, 1_000_000),
    segmentIndexBytesMax: fc.constantFrom(16, 64, 1_000_000),
    segmentAgeMaxMs: fc.constantFrom(1000, 86_400_000),
    retentionAgeMs: fc.constantFrom(0, 0, 0, 2500),
  }),
  asyncFlush: fc.boolean(),
  frameCacheBytesMax: fc.constantFrom(0, 500, 1_000_000),
});

const storagePart = fc.oneof(
  { weight: 3, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(1) },
);

export const storageSteps: fc.Arbitrary<StorageStep[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("stage" as const),
        sizes: fc.array(fc.nat(60), { minLength: 1, maxLength: 4 }),
        newTerm: fc.boolean(),
      }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("flush" as const, "flushAsync" as const) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constantFrom("commit" as const, "truncate" as const, "trim" as const),
        part: storagePart,
      }),
    },
    end,
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom("compact" as const, "reset" as const, "syncFails" as const),
      }),
    },
    cut,
  ),
  { minLength: 1, maxLength: 50 },
);

export const storageWorlds: fc.Arbitrary<StorageWorld> = fc.record({
  seed: fc.nat(),
  segmentStoreBytesMax: fc.constantFrom(100, 400, 1500, 1_000_000),
  frameCacheBytesMax: fc.constantFrom(0, 300, 1_000_000),
});
