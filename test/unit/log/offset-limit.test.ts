import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { chainStart, emptyCheckpoint, initialOffsetMax } from "../../../src/log/mod.ts";
import { allValues, run, simMachine } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";

const refused = (reason: unknown): boolean =>
  reason instanceof Fault && reason.kind === "failed-precondition" && reason.written === "no";

test("a log does not begin at an offset that leaves too few offsets", async () => {
  for (const initialOffset of [initialOffsetMax + 1, Number.MAX_SAFE_INTEGER, -1, 0.5, 2 ** 60, Number.NaN]) {
    await assert.rejects(
      simMachine(`initial ${initialOffset}`).open({}, { initialOffset }),
      (reason) => reason instanceof Fault && reason.kind === "config",
    );
  }
  const machine = simMachine("initial");
  const log = await machine.open({}, { initialOffset: initialOffsetMax });
  assert.equal((await log.append(run("a"))).firstOffset, initialOffsetMax);
  await log.close();
});

test("an append beyond the last offset is refused, one that fits is accepted, and the log opens again", async () => {
  const machine = simMachine("end");
  const first = Number.MAX_SAFE_INTEGER - 3;
  const start = {
    end: { ...chainStart, nextOffset: first },
    checkpoint: { ...emptyCheckpoint, lowest: first },
  };
  const log = await machine.open({}, { beforeStart: ({ storedLog }) => storedLog.reset(start) });
  await assert.rejects(log.append(run("1", "2", "3", "4")), refused);
  await log.append(run("1", "2"));
  const last = [log.append(run("3")), log.append(run("4")), log.append(run("5"))];
  assert.deepEqual(
    (await Promise.allSettled(last)).map(({ status }) => status),
    ["fulfilled", "rejected", "rejected"],
  );
  await assert.rejects(log.append(run("6")), refused);
  assert.equal((await log.bounds()).next, Number.MAX_SAFE_INTEGER);
  await log.close();
  const again = await machine.open();
  assert.deepEqual(await allValues(again), ["1", "2", "3"]);
  await assert.rejects(again.append(run("6")), refused);
  await again.trim(Number.MAX_SAFE_INTEGER);
  await again.close();
});

test("a leader refuses an append beyond the last offset, also if another node forwarded it", async () => {
  const first = Number.MAX_SAFE_INTEGER - 2;
  const cluster = new MemoryCluster();
  await using _ = cluster;
  for (const name of ["n0", "n1", "n2"]) {
    const { replica } = cluster.add(name);
    replica!.storedLog.reset({
      end: { ...chainStart, nextOffset: first },
      checkpoint: { ...emptyCheckpoint, lowest: first },
    });
  }
  const members = cluster.nodes.map(({ replica }) => replica!.member);
  for (const { replica } of cluster.nodes) replica!.bootstrap(members);
  for (const { replica } of cluster.nodes) replica!.start();
  const leader = await cluster.leader();
  const follower = cluster.followers(leader)[0]!;
  await follower.replica!.log.append(run("1"));
  await leader.replica!.log.append(run("2"));
  for (const node of [leader, follower]) await assert.rejects(node.replica!.log.append(run("3")), refused);
  assert.equal(leader.replica!.ready, true);
});
