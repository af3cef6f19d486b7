import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { run, simMachine, valuesOf } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";

const isKind =
  (kind: string) =>
  (fault: unknown): boolean =>
    fault instanceof Fault && fault.kind === kind;

test("seek finds the start of each kind, in `default` and in a named log", async () => {
  const machine = simMachine("reads");
  const log = await machine.open();
  await log.change({ kind: "create", name: "a", settings: {} });
  const named = log.replica.log.named.open({ name: "a" });
  for (const [one, ref] of [
    [log, undefined],
    [named, { name: "a" }],
  ] as const) {
    let third = 0;
    for (let n = 0; n < 6; n++) {
      machine.clock.advance(10);
      const { timestampMs } = await one.append(run(`${n}`, "more"));
      if (n === 3) third = timestampMs;
    }
    await log.trim(3, ref === undefined ? {} : { log: ref });
    assert.equal(await one.seek({ offset: 3 }), 3);
    await assert.rejects(one.seek({ offset: 2 }), isKind("out-of-range"));
    assert.equal(await one.seek({ fromTimeMs: third }), 6);
    assert.equal(await one.seek({ fromTimeMs: 0 }), 3);
    assert.equal(await one.seek({ fromTimeMs: third + 1000 }), 12);
    assert.equal(await one.seek({ last: 4 }), 8);
    assert.equal(await one.seek({ last: 400 }), 3);
    assert.deepEqual(valuesOf(await one.read(6), 6), ["3", "more"]);
  }
});

test("a fresh read of a name on a lagging node sees the log that has the name now", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const { log } = leader.replica!;
  const [follower] = cluster.followers(leader);
  for (let round = 0; round < 10; round++) {
    const { log: info } = await log.named.change({ kind: "create", name: "a", settings: {} });
    for (let n = 0; n <= round; n++) await log.append(run("x"), { log: { name: "a" } });
    const named = follower!.replica!.log.named.open({ name: "a" });
    const [{ next }, { id }] = await Promise.all([
      named.bounds({ mode: "linearizable" }),
      follower!.replica!.log.named.open({ name: "a" }).info({ mode: "linearizable" }),
    ]);
    assert.deepEqual([next, id], [round + 1, info?.id]);
    await log.named.change({ kind: "delete", log: { name: "a" } });
  }
});
