import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../../../src/fault.ts";
import { FixedSyncPolicy } from "../../../support/log/fixed-sync-policy.ts";
import { run, simMachine } from "../../../support/log/logs.ts";
import { MemoryCluster } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

test("appends during a leadership transfer wait for the new leader and are written there once", async () => {
  await using cluster = await MemoryCluster.open(3);
  const old = (await cluster.leader()).replica!;
  await old.log.append(run("before"));
  const [next] = cluster.followers(cluster.nodes.find(({ replica }) => replica === old)!);
  old.node.transferLeadership(next!.replica!.identity.peer);
  assert.equal(old.ready, false);
  const appended = await Promise.all(Array.from({ length: 50 }, (_, at) => old.log.append(run(`v${at}`))));
  await until("the new leader is ready", () => next!.replica!.ready);
  assert.equal(new Set(appended.map(({ firstOffset }) => firstOffset)).size, 50);
  assert.equal((await old.log.bounds({ mode: "linearizable" })).next, 51);
});

test("an append does not overtake those of its log that wait for a command", async () => {
  const { replica } = await simMachine(1).open();
  const { log } = replica;
  const name = "a";
  await log.named.change({ kind: "create", name, settings: {} });
  const append = (value: string) => log.append(run(value), { log: { name } });
  const first = append("first");
  const later = first.then(() => append("later"));
  const change = log.named.change({ kind: "update", log: { name }, settings: { maxBytes: 9_999 } });
  const waiting = [append("waits"), append("waits, too")];
  const appended = await Promise.all([first, ...waiting, later]);
  await change;
  assert.deepEqual(
    appended.map(({ firstOffset }) => firstOffset),
    [0, 1, 2, 3],
  );
});

test("appends that wait for a command count for the limit of the queue, and have their room afterwards", async () => {
  const { replica } = await simMachine(1).open();
  const { log } = replica;
  const name = "a";
  await log.named.change({ kind: "create", name, settings: {} });
  const change = log.named.change({ kind: "update", log: { name }, settings: { contentType: "a/b" } });
  const value = "x".repeat(1_000_000);
  const appends = await Promise.allSettled(
    Array.from({ length: 50 }, () => log.append(run(value), { log: { name } })),
  );
  await change;
  const written = appends.filter(({ status }) => status === "fulfilled").length;
  assert.equal(written, 16);
  for (const [at, settled] of appends.entries()) {
    if (settled.status === "fulfilled") assert.equal(settled.value.firstOffset, at);
    else assert.equal(Fault.from(settled.reason).kind, "overloaded", String(settled.reason));
  }
});

test("an append that waited for a command is not written after a close that began in between", async () => {
  await using cluster = await MemoryCluster.open(3);
  const { log } = (await cluster.leader()).replica!;
  const { named } = log;
  for (let round = 0; round < 20; round++) {
    const name = `log ${round}`;
    await named.change({ kind: "create", name, settings: {} });
    const append = (value: string) => log.append(run(value), { log: { name } }).catch(Fault.from);
    await Promise.all([
      named.change({ kind: "update", log: { name }, settings: { maxBytes: 1_000 + round } }),
      append("a"),
      named.change({ kind: "close", log: { name } }),
      append("b"),
    ]);
    const { closed, version } = await named.open({ name }).info();
    assert.equal(closed, true);
    const table = log.log.state.logs;
    assert.ok(table.row(table.named(name)!.id)!.lastIndex < version, "a record behind the close");
  }
});

test("a log with a limit never holds more bytes of frames, also with appends that are queued together", async () => {
  const { replica } = await simMachine(1).open();
  const { log } = replica;
  const maxBytes = 3_000;
  await log.named.change({ kind: "create", name: "a", settings: { maxBytes } });
  const settled = await Promise.allSettled(
    Array.from({ length: 200 }, (_, at) => {
      const producer = at % 3 === 0 ? { subject: "s", id: BigInt(at), epoch: 0, sequence: 0 } : undefined;
      return log.append(run("x".repeat(10)), {
        log: { name: "a" },
        ...(producer === undefined ? {} : { producer }),
      });
    }),
  );
  const written = settled.filter(({ status }) => status === "fulfilled").length;
  const { bytes } = replica.storedLog.state.logs.named("a")!;
  assert.ok(written > 20 && written < 200, String(written));
  assert.ok(bytes <= maxBytes && bytes > maxBytes / 2, String(bytes));
});

test("a log that is full because of what is queued: it refuses only once that is written, also a producer", async () => {
  const found: Record<string, readonly string[]> = {};
  for (const end of ["written", "lost"]) {
    let held: Promise<void> | undefined;
    const machine = simMachine(end, { delay: () => held ?? Promise.resolve() });
    const log = await machine.open({}, { syncPolicy: new FixedSyncPolicy(false) });
    const name = "a";
    await log.change({ kind: "create", name, settings: { maxBytes: 1_000 } });
    const outcome = (id: bigint, stamped: boolean): Promise<string> => {
      const producer = { subject: "s", id, epoch: 0, sequence: 0 };
      const asked = { log: { name }, ...(stamped ? { producer } : {}) };
      return log.append(run("x".repeat(700)), asked).then(
        () => "written",
        (fault: Fault) => String(fault.facts.reason ?? fault.kind),
      );
    };
    const { promise, resolve: release } = Promise.withResolvers<void>();
    held = promise;
    const asked = [outcome(1n, true), outcome(2n, true), outcome(3n, false)];
    // A quorum, which is this node, confirms at once that it leads.
    for (let turns = 0; turns < 20; turns++) await turn();
    const closed = end === "lost" ? log.close() : undefined;
    release();
    await closed;
    found[end] = await Promise.all(asked);
  }
  assert.deepEqual(found, {
    written: ["written", "LOG_FULL", "LOG_FULL"],
    lost: ["interrupted", "unavailable", "unavailable"],
  });
});
