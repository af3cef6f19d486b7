/** A power cut during each operation of the disk while logs are forked, and forks and their sources are deleted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReplicatedLog } from "../../../../src/replication/replicated-log.ts";
import { run, simMachine, stillTurns, valuesOf } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";

const settings = { segmentStoreBytesMax: 700 };

const fork = (log: ReplicatedLog, name: string, source: string, next: number, cut?: number) => {
  const { id } = log.log.state.logs.named(source)!;
  const at = cut === undefined ? { next } : { next, cut };
  return log.named.change({ kind: "fork", name, settings: {}, source: { name: source, id }, at });
};
const append = (log: ReplicatedLog, name: string, ...values: string[]) =>
  log.append(run(...values), { log: { name } });
const remove = (log: ReplicatedLog, name: string) => log.named.change({ kind: "delete", log: { name } });

type Shown = Readonly<Record<string, readonly string[]>>;

const start: Shown = { a: ["a0", "a1", "a2", "a3"] };
/** Each step, and what a reader sees after it. "b" cuts a batch of "a", and "c" a record of "b". */
const steps: readonly (readonly [(log: ReplicatedLog) => Promise<unknown>, Shown])[] = [
  [(log) => fork(log, "b", "a", 3), { ...start, b: ["a0", "a1", "a2"] }],
  [(log) => append(log, "b", "b3", "b4"), { ...start, b: ["a0", "a1", "a2", "b3", "b4"] }],
  [
    (log) => fork(log, "c", "b", 4, 1),
    { ...start, b: ["a0", "a1", "a2", "b3", "b4"], c: ["a0", "a1", "a2", "b"] },
  ],
  [
    (log) => append(log, "c", "c4"),
    { ...start, b: ["a0", "a1", "a2", "b3", "b4"], c: ["a0", "a1", "a2", "b", "c4"] },
  ],
  [(log) => remove(log, "a"), { b: ["a0", "a1", "a2", "b3", "b4"], c: ["a0", "a1", "a2", "b", "c4"] }],
  [(log) => remove(log, "b"), { c: ["a0", "a1", "a2", "b", "c4"] }],
  [(log) => remove(log, "c"), {}],
];

/** What a reader sees, and the names of the logs that are only kept for their forks. */
function stateOf({ replica }: OneNodeLog): { readonly shown: Shown; readonly hidden: readonly string[] } {
  const { storedLog } = replica;
  const { logs } = storedLog.state;
  const shown: Record<string, string[]> = {};
  const hidden: string[] = [];
  for (const { id, name, lowest, next, deleted } of logs.rows()) {
    const forks = [...logs.rows()].filter((row) => row.fork?.source === id).length;
    assert.equal(logs.forksOf(id), forks, `forks of ${name}`);
    if (deleted === true) {
      hidden.push(name);
      continue;
    }
    const values: string[] = [];
    while (lowest + values.length < next) {
      const at = lowest + values.length;
      values.push(...valuesOf(storedLog.view(id).read(at), at));
    }
    shown[name] = values;
  }
  return { shown, hidden };
}

/** Opens a log with the first one. */
async function opened(seed: number): Promise<readonly [ReturnType<typeof simMachine>, OneNodeLog]> {
  const machine = simMachine(`fork-crash ${seed}`);
  const log = await machine.open(settings);
  await log.replica.log.named.change({ kind: "create", name: "a", settings: {} });
  await append(log.replica.log, "a", "a0", "a1");
  await append(log.replica.log, "a", "a2", "a3");
  return [machine, log];
}

/** Does the steps from `first` on. Returns how many are done when the power fails. */
async function runSteps(log: OneNodeLog, first: number): Promise<number> {
  for (let done = first; ; done++) {
    const step = steps[done];
    if (step === undefined) return done;
    const failed = log.failed.then((fault) => {
      throw fault;
    });
    try {
      await Promise.race([step[0](log.replica.log), failed]);
    } catch {
      return done;
    }
  }
}

test("a power cut at any moment leaves a fork, and the delete of it and of its source, done or not done", async () => {
  let [cuts, undone, doneUnknown] = [0, 0, 0];
  for (let operations = 0; ; operations++) {
    const [machine, log] = await opened(operations);
    const { crash } = machine.disk.counts;
    machine.disk.crashAfter(operations);
    const done = await runSteps(log, 0);
    const isCut = machine.disk.counts.crash > crash;
    if (!isCut) machine.disk.crash();
    await using again = await machine.open(settings);
    const { shown } = stateOf(again);
    const expected = [done, done + 1].map((count) => (count === 0 ? start : steps[count - 1]?.[1]));
    const at = expected.findIndex((one) => JSON.stringify(one) === JSON.stringify(shown));
    assert.ok(at >= 0, `operation ${operations}, ${done} steps: ${JSON.stringify(shown)}`);
    if (isCut && at === 0) undone++;
    if (at === 1) doneUnknown++;
    // What was interrupted can be done, and then nothing is left of logs that nothing reads.
    assert.equal(await runSteps(again, done + at), steps.length, `operation ${operations}`);
    const { storedLog } = again.replica;
    for (let turn = 0; turn < 200 && [...storedLog.state.logs.rows()].length > 0; turn++) {
      machine.clock.advance(100);
      await stillTurns();
    }
    assert.deepEqual(stateOf(again), { shown: {}, hidden: [] }, `operation ${operations}`);
    if (!isCut) break;
    cuts++;
  }
  assert.ok(
    cuts > 20 && undone > 0 && doneUnknown > 0,
    `${cuts} cuts, ${undone} undone, ${doneUnknown} done`,
  );
});
