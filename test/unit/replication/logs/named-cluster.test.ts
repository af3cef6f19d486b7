/** Named logs of three nodes: crashes, isolation, entries that are replaced, snapshots, forwarding. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../../../../src/fault.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import type { Replica } from "../../../../src/replication/mod.ts";
import type { LogInfo } from "../../../../src/types.ts";
import { allValues, run, valueAt } from "../../../support/log/logs.ts";
import { MemoryCluster, type MemoryNode } from "../../../support/raft/replicas.ts";
import { until } from "../../../support/until.ts";

const isFault =
  (kind: string, reason?: string) =>
  (fault: unknown): boolean =>
    fault instanceof Fault &&
    fault.kind === kind &&
    (reason === undefined || fault.facts["reason"] === reason);

async function create({ log }: Replica, name: string): Promise<LogInfo> {
  const { log: info } = await log.named.change({ kind: "create", name, settings: {} });
  assert.ok(info !== undefined);
  return info;
}

const table = ({ storedLog }: Replica): unknown => {
  const { logs } = storedLog.state;
  return { ...logs.head, rows: [...logs.rows()].sort((one, other) => one.id - other.id) };
};

/** All nodes have applied the same, and have the same rows and records. */
async function checkEqual(cluster: MemoryCluster): Promise<void> {
  const leader = await cluster.leader();
  const last = leader.replica!.storedLog;
  await until("all nodes are level", () =>
    cluster.nodes.every(({ replica }) => replica?.storedLog.commitIndex === last.commitIndex),
  );
  for (const { name, replica } of cluster.nodes) {
    assert.deepEqual(table(replica!), table(leader.replica!), name);
    for (const row of last.state.logs.rows()) {
      const [ours, theirs] = [leader.replica!, replica!].map(({ log }) => log.named.open(row));
      assert.deepEqual(await allValues(theirs!), await allValues(ours!), `${name} ${row.name}`);
    }
  }
}

const reads = (node: MemoryNode, name: string) => node.replica!.log.named.open({ name });

test("what a crashed leader acknowledged is there, and a log of the same name gets another id", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 400 });
  const first = await cluster.leader();
  const a = await create(first.replica!, "a");
  const b = await create(first.replica!, "b");
  for (let n = 0; n < 10; n++)
    for (const name of ["a", "b"]) await reads(first, name).append(run(`${name} ${n}`));
  await first.replica!.log.named.change({ kind: "delete", log: b });
  await cluster.crash(first);
  const second = await cluster.leader();
  assert.deepEqual(
    await allValues(reads(second, "a")),
    Array.from({ length: 10 }, (_, n) => `a ${n}`),
  );
  await assert.rejects(reads(second, "b").append(run("x")), isFault("not-found"));
  const again = await create(second.replica!, "b");
  assert.ok(again.id > b.id && again.id > a.id);
  assert.deepEqual([again.life, again.next], [b.life, 0]);
  const { firstOffset, logId } = await reads(second, "b").append(run("new"));
  assert.deepEqual([firstOffset, logId], [0, again.id]);
  await assert.rejects(
    second.replica!.log.append(run("x"), { log: b }),
    isFault("failed-precondition", "ANOTHER_LOG"),
  );
  cluster.reopen(first).start();
  await checkEqual(cluster);
});

test("staged frames of an isolated leader are replaced: its creates, deletes and appends never happened", async () => {
  await using cluster = await MemoryCluster.open(3);
  const old = await cluster.leader();
  const kept = await create(old.replica!, "kept");
  await create(old.replica!, "mixed");
  await reads(old, "kept").append(run("first"));
  cluster.isolate(old.name);
  const lost = [
    create(old.replica!, "only here"),
    old.replica!.log.named.change({ kind: "delete", log: kept }),
    reads(old, "mixed").append(run("lost 1")),
    reads(old, "mixed").append(run("lost 2")),
  ].map((work) =>
    work.then(
      () => "done",
      (fault: Fault) => fault.written,
    ),
  );
  await until("they are staged", () => old.replica!.storedLog.state.logs.stagedNamed("kept") === undefined);
  const leader = await cluster.leader();
  const other = await create(leader.replica!, "other");
  await reads(leader, "mixed").append(run("right"));
  await reads(leader, "kept").append(run("second"));
  assert.equal(other.id, 3, "the id that the old leader gave was never committed");
  cluster.heal();
  assert.ok((await Promise.all(lost)).every((written) => written !== "done"));
  await checkEqual(cluster);
  assert.deepEqual(await allValues(reads(old, "kept")), ["first", "second"]);
  assert.deepEqual(await allValues(reads(old, "mixed")), ["right"]);
  await assert.rejects(reads(old, "only here").bounds(), isFault("not-found", "NO_SUCH_LOG"));
});

test("a lagging node gets the rows with a snapshot, and the records after it", async () => {
  await using cluster = await MemoryCluster.open(3, { segmentStoreBytesMax: 500 });
  const leader = await cluster.leader();
  const { log, storedLog } = leader.replica!;
  const [behind] = cluster.followers(leader);
  await create(leader.replica!, "early");
  await reads(leader, "early").append(run("unseen"));
  await until("it has the row", () => behind!.replica!.storedLog.state.logs.named("early") !== undefined);
  cluster.isolate(behind!.name);
  await log.named.change({ kind: "delete", log: { name: "early" } });
  const early = await create(leader.replica!, "early");
  const many = await create(leader.replica!, "many");
  const producer = { subject: "s", id: 1n, epoch: 0 };
  for (let n = 0; n < 40; n++) {
    await log.append(run(`default ${n}`));
    await log.append(run(`many ${n}`), { log: many, producer: { ...producer, sequence: n } });
  }
  await log.trim(38);
  await log.trim(38, { log: many });
  await until("the others have it", () => {
    storedLog.compact();
    return storedLog.firstIndex > 20;
  });
  cluster.heal();
  await checkEqual(cluster);
  assert.ok(behind!.replica!.storedLog.firstIndex > 20, "it started from a snapshot");
  assert.equal(behind!.replica!.storedLog.state.logs.named("early")?.id, early.id);
  assert.equal(await valueAt(reads(behind!, "many"), 39), "many 39");
  await behind!
    .replica!.log.append(run("many 39"), { log: many, producer: { ...producer, sequence: 39 } })
    .then(({ duplicate, firstOffset }) => assert.deepEqual([duplicate, firstOffset], [true, 39]));
});

test("a follower forwards changes and appends, and shows them when they are answered", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower, other] = cluster.followers(leader);
  const { log, storedLog } = follower!.replica!;
  for (let round = 0; round < 5; round++) {
    const { id } = await create(follower!.replica!, "a");
    assert.equal(storedLog.state.logs.named("a")?.id, id, "it shows the log");
    assert.deepEqual(
      log.named.list("", "", 9).logs.map((info) => info.id),
      [id],
    );
    const appended = await log.append(run("one"), { log: { name: "a" } });
    assert.deepEqual([appended.logId, appended.firstOffset], [id, 0]);
    assert.equal(storedLog.state.logs.row(id)?.next, 1);
    const { log: updated } = await log.named.change({
      kind: "update",
      log: { name: "a", id },
      settings: { maxBytes: 5000 },
    });
    assert.equal(storedLog.state.logs.row(id)?.settings.maxBytes, 5000);
    assert.equal(updated?.settings.maxBytes, 5000);
    assert.equal(await log.trim(1, { log: { name: "a" } }), 1);
    assert.equal(storedLog.state.logs.row(id)?.lowest, 1);
    // Another node may lag: it does not deny the log.
    assert.equal((await reads(other!, "a").bounds({ mode: "linearizable" })).next, 1);
    await log.named.change({ kind: "delete", log: { name: "a" } });
    assert.equal(storedLog.state.logs.named("a"), undefined);
    await assert.rejects(log.append(run("x"), { log: { name: "a" } }), isFault("not-found"));
    await assert.rejects(reads(other!, "a").bounds({ mode: "linearizable" }), isFault("not-found"));
  }
  await checkEqual(cluster);
});

test("a deposed leader denies no log that its successor has, and shows none that was deleted", async () => {
  await using cluster = await MemoryCluster.open(3);
  const old = await cluster.leader();
  const a = await create(old.replica!, "a");
  cluster.isolate(old.name);
  const leader = await cluster.leader();
  await leader.replica!.log.named.change({ kind: "delete", log: { name: "a" } });
  await create(leader.replica!, "b");
  const { log } = old.replica!;
  const answer = (work: Promise<unknown>, wrong: readonly string[]): Promise<void> =>
    work.then(
      () => undefined,
      (fault: Fault) => assert.ok(!wrong.includes(fault.kind), `${fault.kind} ${fault.message}`),
    );
  const asked = [
    answer(log.append(run("x"), { log: { name: "b" } }), ["not-found"]),
    answer(log.named.change({ kind: "close", log: { name: "b" } }), ["not-found"]),
    answer(reads(old, "b").bounds(), ["not-found"]),
    answer(log.append(run("x"), { log: a, expectedOffset: 5 }), ["offset-mismatch"]),
    answer(log.trim(9, { log: a }), ["out-of-range"]),
    answer(
      log.named
        .change({ kind: "create", name: "a", settings: {} })
        .then(({ created }) => assert.ok(created, "it says that a deleted log exists")),
      ["already-exists"],
    ),
  ];
  cluster.heal();
  await Promise.all(asked);
});

test("tails of a deleted log end with not-found on every node, and so do reads that wait for more", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const a = await create(leader.replica!, "a");
  await reads(leader, "a").append(run("one"));
  await checkEqual(cluster);
  const tails = cluster.nodes.map((node) => reads(node, "a").follow(1));
  const ends = tails.map((tail) => tail.ready());
  const waiting = cluster.nodes.map((node) =>
    reads(node, "a")
      .bounds({ seenOffset: 7 })
      .catch((fault: Fault) => fault.kind),
  );
  await turn();
  await leader.replica!.log.named.change({ kind: "delete", log: a });
  await create(leader.replica!, "a");
  await reads(leader, "a").append(run("of the new log"));
  assert.deepEqual(await Promise.all(ends), [true, true, true]);
  for (const tail of tails) assert.throws(() => tail.take(), isFault("not-found"));
  assert.deepEqual(await Promise.all(waiting), ["not-found", "not-found", "not-found"]);
  await checkEqual(cluster);
});

test("a forwarded trim of a log that was created again is refused, or ends once the old log is gone here", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const [follower] = cluster.followers(leader);
  const { log } = follower!.replica!;
  const old = await create(leader.replica!, "a");
  await log.append(run("x", "y"), { log: old });
  const remove = (): Promise<unknown> =>
    leader.replica!.log.named.change({ kind: "delete", log: { name: "a" } });
  const trims = [log.trim(1, { log: { name: "a" } }), log.trim(2, { log: old })];
  await remove();
  await create(leader.replica!, "a");
  for (const trim of await Promise.allSettled(trims)) {
    if (trim.status === "rejected") {
      const { kind } = Fault.from(trim.reason);
      assert.ok(["not-found", "failed-precondition", "out-of-range"].includes(kind), kind);
    }
  }
  await assert.rejects(log.trim(1, { log: old }), isFault("failed-precondition", "ANOTHER_LOG"));
  await assert.rejects(log.trim(1, { log: { name: "b" } }), isFault("not-found", "NO_SUCH_LOG"));
});

test("an append and a change that wait for a command end at their deadline as not written", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const { log } = leader.replica!;
  const ref = await create(leader.replica!, "a");
  // Without a majority no command is applied.
  cluster.isolate(leader.name);
  const command = log.named
    .change({ kind: "update", log: ref, settings: { maxBytes: 9_999 } })
    .catch(Fault.from);
  const deadlineMs = systemClock.monotonicMs() + 30;
  const late = [
    log.append(run("x"), { log: ref, deadlineMs, forward: false }),
    log.named.change({ kind: "close", log: ref }, { deadlineMs, forward: false }),
  ];
  // At once: either of them may be the first to reject.
  await Promise.all(late.map((one) => assert.rejects(one, { kind: "deadline", written: "no" })));
  cluster.heal();
  await command;
  assert.equal((await reads(await cluster.leader(), "a").bounds({ mode: "linearizable" })).next, 0);
});

test("a forwarded append by name alone is not sent again: a log that got the name meanwhile stays empty", async () => {
  for (const states of ["name", "id"] as const) {
    const isReplaced = Promise.withResolvers<void>();
    let isBetween = false;
    await using cluster = await MemoryCluster.open(3);
    const leader = await cluster.leader();
    const { log } = leader.replica!;
    const { id } = await create(leader.replica!, "a");
    const follower = cluster.followers(leader)[0]!;
    await until(
      "the follower has the log",
      () => follower.replica!.log.log.state.logs.named("a") !== undefined,
    );
    cluster.afterForward = async () => {
      if (isBetween) return;
      isBetween = true;
      await log.named.change({ kind: "delete", log: { name: "a" } });
      await log.named.change({ kind: "create", name: "a", settings: {} });
      isReplaced.resolve();
      throw new Fault("interrupted", { written: "unknown" });
    };
    const ref = states === "id" ? { name: "a", id } : { name: "a" };
    const producer = { subject: "s", id: 1n, epoch: 0, sequence: 0 };
    const sent = follower.replica!.log.append(run("x"), { log: ref, producer });
    if (states === "name") await assert.rejects(sent, { kind: "interrupted", written: "unknown" });
    else {
      // The log of the follower may show that the first attempt was written. The second one is refused.
      const outcome = await sent.catch(Fault.from);
      assert.equal(
        outcome instanceof Fault ? outcome.written : outcome.logId,
        outcome instanceof Fault ? "unknown" : id,
      );
    }
    await isReplaced.promise;
    assert.deepEqual(await log.named.open({ name: "a" }).bounds(), { lowest: 0, next: 0 }, states);
  }
});
