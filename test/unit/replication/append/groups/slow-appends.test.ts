/** A slow append is logged once, with the time of each phase. The clock moves only where a phase takes time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../../../../src/fault.ts";
import { noTelemetry } from "../../../../../src/lib/telemetry.ts";
import { AppendQueue } from "../../../../../src/log/append/append-queue.ts";
import { chainStart } from "../../../../../src/log/mod.ts";
import { FlushTimes } from "../../../../../src/log/write/flush-times.ts";
import { ProposedGroup } from "../../../../../src/replication/append/groups/proposed-group.ts";
import { SlowAppends } from "../../../../../src/replication/append/groups/slow-appends.ts";
import { FixedSyncPolicy } from "../../../../support/log/fixed-sync-policy.ts";
import { logLines } from "../../../../support/log/log-lines.ts";
import { run, simMachine } from "../../../../support/log/logs.ts";
import { sealGroup } from "../../../../support/log/seal-group.ts";

async function scene(slowAppendMs: number | undefined) {
  let held: Promise<void> | undefined;
  const machine = simMachine(1, { delay: () => held ?? Promise.resolve() });
  const { clock } = machine;
  const { log: logger, lines } = logLines();
  const { metrics, tracer } = noTelemetry;
  const log = await machine.open(
    {},
    {
      syncPolicy: new FixedSyncPolicy(false),
      telemetry: { metrics, tracer, clock },
      ...{ logger, ...(slowAppendMs === undefined ? {} : { slowAppendMs }) },
    },
  );
  /** The disk holds what is written from now on. */
  const hold = (): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return () => {
      if (held === promise) held = undefined;
      resolve();
    };
  };
  /** An append whose write takes so long. */
  const slow = async (ms: number, options = {}): Promise<void> => {
    const release = hold();
    const appended = log.append(run("x"), options);
    await turn();
    clock.advance(ms);
    release();
    await appended;
  };
  const slowLines = () => lines.filter(({ message }) => message.startsWith("slow append"));
  return { machine, clock, log, hold, slow, slowLines };
}

test("an append that waited is logged with the time of its group in the queue and of the sync", async () => {
  const { clock, log, hold, slowLines } = await scene(1_000);
  const releaseFirst = hold();
  const first = log.append(run("a", "b"));
  await turn();
  clock.advance(500);
  const queued = [log.append(run("c")), log.append(run("d"))];
  clock.advance(1_500);
  const releaseSecond = hold();
  releaseFirst();
  await first;
  await turn();
  clock.advance(2_000);
  releaseSecond();
  await Promise.all(queued);
  const [one, two, ...more] = slowLines();
  assert.deepEqual(more, []);
  const { bytes, ...facts } = one!.facts;
  assert.ok(Number(bytes) > 2);
  assert.deepEqual(facts, {
    ...{ log: "default", logs: 1, appends: 1, records: 2 },
    ...{ tookMs: 2_000, queueMs: 0, writeMs: 0, syncMs: 2_000, replicateMs: 0 },
  });
  const { bytes: _, ...later } = two!.facts;
  assert.deepEqual(later, {
    ...{ log: "default", logs: 1, appends: 2, records: 2 },
    ...{ tookMs: 3_500, queueMs: 1_500, writeMs: 0, syncMs: 2_000, replicateMs: 0 },
  });
  assert.deepEqual([one?.level, one?.message], ["warn", "slow append"]);
});

test("what was faster than the limit is not logged, and nothing without a limit", async () => {
  for (const limitMs of [1_000, 0, undefined]) {
    const { slow, slowLines } = await scene(limitMs);
    await slow(limitMs === 1_000 ? 999 : 60_000);
    assert.deepEqual(slowLines(), []);
  }
});

test("there is one line a second, and the next one counts those that were left out", async () => {
  const { slow, slowLines } = await scene(100);
  for (const ms of [200, 200, 200, 1_000, 1_000]) await slow(ms);
  assert.deepEqual(
    slowLines().map(({ facts: { tookMs, unlogged } }) => [tookMs, unlogged]),
    [
      [200, undefined],
      [1_000, 2],
      [1_000, undefined],
    ],
  );
});

test("a named log is logged by its name", async () => {
  const { log, slow, slowLines } = await scene(100);
  await log.change({ kind: "create", name: "orders", settings: {} });
  await slow(150, { log: { name: "orders" } });
  assert.equal(slowLines()[0]?.facts["log"], "orders");
});

test("an append that failed is logged with its fault", async () => {
  const { machine, slow, slowLines } = await scene(100);
  machine.disk.faults.syncFails = 1;
  await assert.rejects(slow(150));
  const [line] = slowLines();
  assert.equal(line?.message, "slow append, which failed");
  assert.ok(line.facts["err"] instanceof Fault);
  assert.deepEqual([line.facts["tookMs"], line.facts["replicateMs"]], [150, undefined]);
});

test("what followers took longer than this node counts as replication", () => {
  const flushes = new FlushTimes();
  const { log: logger, lines } = logLines();
  let nowMs = 100;
  const clock = { monotonicMs: () => nowMs, soon: () => {} };
  const slow = new SlowAppends({
    ...{ log: { meter: { flushes }, state: { logs: { row: () => undefined } } }, clock, logger },
    limitMs: 10,
  });
  const queue = new AppendQueue({ bytesMax: 1_000, appendsMax: 10 }, clock);
  const { group } = queue.add({ run: run("a"), owner: { log: undefined, subject: "s" } });
  const proposed = new ProposedGroup(queue.take()!, 3, (one, fault) => slow.ended(one, fault));
  sealGroup(group.builder, { ...chainStart, index: 6, nextOffset: 40 }, 3, 77);
  flushes.began(7, 7, 101);
  flushes.synced(3);
  flushes.ended(106);
  nowMs = 150;
  proposed.applied();
  const { queueMs, writeMs, syncMs, replicateMs } = lines[0]!.facts;
  assert.deepEqual([queueMs, writeMs, syncMs, replicateMs], [1, 2, 3, 44]);
});
