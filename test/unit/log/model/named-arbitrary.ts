/** Random steps for the model of named logs, for fast-check. */
import fc from "fast-check";
import { machineSteps, part, records } from "./log-arbitrary.ts";
import type { NamedStep } from "./named-model.ts";

const name = fc.constantFrom("a", "b", "c", "d", "\u{1f600}");
const log = fc.oneof({ weight: 3, arbitrary: name }, { weight: 1, arbitrary: fc.constant(undefined) });

const change = fc.record({
  change: fc.constantFrom(
    "create" as const,
    "create" as const,
    "create" as const,
    "delete" as const,
    "update" as const,
    "close" as const,
    "touch" as const,
  ),
  log: name,
});

/** Of a source. Any place is as likely as any other. */
const place = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);
/** A fork needs a name that is free. */
const forkName = fc.constantFrom("d", "e", "\u{1f600}", "a");
const fork = fc.record({ change: fc.constant("fork" as const), log: forkName, source: name, part: place });

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
      list: fc.array(fc.oneof({ weight: 3, arbitrary: change }, { weight: 1, arbitrary: fork }), {
        minLength: 1,
        maxLength: 5,
      }),
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

const batches = fc.array(fc.nat(40), { minLength: 2, maxLength: 6 });
const logName = fc.constantFrom("a", "b", "c", "d", "e", "f", "\u{1f600}");
const deletion = fc.record({ change: fc.constant("delete" as const), log: logName });
const forkOfAny = fc.record({
  change: fc.constant("fork" as const),
  log: logName,
  source: logName,
  part: place,
});

/** Forks of forks, in the middle of batches and of records, of logs that are deleted and created again. */
export const forkingSteps = startedWith(
  fc.array(
    fc.oneof(
      { weight: 4, arbitrary: step },
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant("appends" as const),
          runs: fc.array(fc.record({ log: logName, sizes: batches }), { minLength: 2, maxLength: 6 }),
        }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant("changes" as const),
          list: fc.array(forkOfAny, { minLength: 1, maxLength: 4 }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant("changes" as const),
          list: fc.array(fc.oneof({ weight: 2, arbitrary: deletion }, { weight: 1, arbitrary: forkOfAny }), {
            minLength: 1,
            maxLength: 3,
          }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.nat(3000) }) },
    ),
    { minLength: 10, maxLength: 30 },
  ),
);
