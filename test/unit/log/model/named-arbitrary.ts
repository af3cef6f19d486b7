/** Random steps for the model of named logs, for fast-check. */
import fc from "fast-check";
import { machineSteps, part, records } from "./log-arbitrary.ts";
import type { NamedStep } from "./named-model.ts";

const name = fc.constantFrom("a", "b", "c", "\u{1f600}");
const log = fc.oneof({ weight: 3, arbitrary: name }, { weight: 1, arbitrary: fc.constant(undefined) });

const change = fc.record({
  change: fc.constantFrom(
    "create" as const,
    "create" as const,
    "create" as const,
    "delete" as const,
    "update" as const,
    "close" as const,
  ),
  log: name,
});

const step: fc.Arbitrary<NamedStep> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("appends" as const),
      runs: fc.array(fc.record({ log, sizes: records }), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("changes" as const),
      list: fc.array(change, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("expected" as const), log, isRight: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("produce" as const),
      log,
      producer: fc.nat(2),
      records: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("trim" as const),
      log,
      part,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("read" as const) }) },
  ...machineSteps,
);

/** The logs exist at the start, so that most steps find one. */
const startedWith = (steps: fc.Arbitrary<NamedStep[]>): fc.Arbitrary<NamedStep[]> =>
  steps.map((list) => [
    { kind: "changes", list: ["a", "b", "c"].map((one) => ({ change: "create" as const, log: one })) },
    ...list,
  ]);

export const namedSteps = startedWith(fc.array(step, { minLength: 1, maxLength: 40 }));

const longRecords = fc.array(fc.integer({ min: 100, max: 600 }), { minLength: 1, maxLength: 3 });

/** Long records that are trimmed often, and time that passes: much is settled. */
export const settlingSteps = startedWith(
  fc.array(
    fc.oneof(
      { weight: 4, arbitrary: step },
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant("appends" as const),
          runs: fc.array(fc.record({ log, sizes: longRecords }), { minLength: 3, maxLength: 8 }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("trim" as const), log, part }) },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant("advance" as const),
          ms: fc.integer({ min: 1500, max: 4000 }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant("cut" as const), operations: fc.nat(30) }),
      },
    ),
    { minLength: 10, maxLength: 40 },
  ),
);
