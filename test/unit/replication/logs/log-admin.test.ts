import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { LogAdmin } from "../../../../src/replication/logs/log-admin.ts";
import { LogTurns } from "../../../../src/replication/logs/log-turns.ts";
import type { LogChange, NamedLogSettings } from "../../../../src/types.ts";
import { allValues, run, StillClock, simMachine } from "../../../support/log/logs.ts";
import { openOneNode } from "../../../support/log/one-node-log.ts";
import { scratch } from "../../../support/scratch.ts";

const kindOf = (fault: unknown): string => (fault instanceof Fault ? fault.kind : String(fault));

async function opened() {
  const machine = simMachine("admin");
  const log = await machine.open();
  const change = (given: LogChange) =>
    log.change(given).then(
      ({ log: info, created }) => ({ info, created }),
      (fault: unknown) => kindOf(fault),
    );
  const create = (name: string, ttlMs?: number) =>
    change({ kind: "create", name, settings: ttlMs === undefined ? {} : { ttlMs } });
  return { log, change, create, machine };
}

test("concurrent creates of one name make one log", async () => {
  const { log, create } = await opened();
  const made = await Promise.all([create("a"), create("a"), create("a"), create("a", 5), create("b")]);
  const told = made.map((one) => (typeof one === "string" ? one : [one.info?.id, one.created]));
  assert.deepEqual(told, [[1, true], [1, false], [1, false], "already-exists", [2, true]]);
  assert.equal(log.storedLog.state.logs.size, 2);
});

test("concurrent deletes and closes of one log are decided one after another", async () => {
  const { log, change, create } = await opened();
  await create("a");
  const ref = { name: "a" };
  const done = await Promise.all([
    change({ kind: "close", log: ref }),
    change({ kind: "close", log: ref }),
    change({ kind: "delete", log: ref }),
    change({ kind: "delete", log: ref }),
    change({ kind: "update", log: ref, settings: { ttlMs: 1 } }),
    create("a"),
    change({ kind: "delete", log: { name: "a", id: 1 } }),
  ]);
  // Concurrent changes have no order, but each one is decided on what those before it left.
  const told = done.map((one) => (typeof one === "string" ? one : (one.info?.id ?? "deleted")));
  for (const one of told)
    assert.ok([1, 2, "deleted", "not-found", "failed-precondition"].includes(one), String(one));
  const deletes = told.filter((one) => one === "deleted").length;
  const { logs } = log.storedLog.state;
  assert.equal(logs.size, logs.nextId - 1 - deletes);
  assert.ok(deletes > 0);
  assert.equal(log.failure, undefined);
});

test("appends beside changes of their log keep their order, and the log stays dense", async () => {
  const { log, change, create } = await opened();
  await create("a");
  const work: Promise<unknown>[] = [];
  for (let n = 0; n < 30; n++) {
    work.push(log.append(run(`${n}`), { log: { name: "a" } }));
    if (n % 4 === 0)
      work.push(change({ kind: "update", log: { name: "a" }, settings: { maxBytes: 10_000 + n } }));
    if (n % 7 === 6) work.push(log.trim(Math.floor(n / 2), { log: { name: "a" } }));
  }
  await Promise.all(work);
  const { lowest, next } = log.storedLog.state.logs.named("a")!;
  assert.equal(next, 30);
  const values = await allValues(log.replica.log.named.open({ name: "a" }));
  assert.deepEqual(
    values,
    Array.from({ length: 30 - lowest }, (_, n) => `${lowest + n}`),
  );
});

test("an update changes what it names, null removes, and equal settings write nothing", async () => {
  const { log, change } = await opened();
  await change({ kind: "create", name: "a", settings: { ttlMs: 5, maxBytes: 9 } });
  const ref = { name: "a" };
  await change({ kind: "update", log: ref, settings: { ttlMs: null, contentType: "x" } });
  assert.deepEqual(log.storedLog.state.logs.named("a")?.settings, { maxBytes: 9, contentType: "x" });
  const { end } = log.storedLog;
  await change({ kind: "update", log: ref, settings: { maxBytes: 9, ttlMs: null } });
  assert.equal(log.storedLog.end.index, end.index);
});

test("after a restart no id is used again, and the level is not raised again", async () => {
  const { create, change, machine, log } = await opened();
  await create("a");
  await create("b");
  await change({ kind: "delete", log: { name: "b" } });
  const { life } = log.storedLog.state.logs;
  await log.close();
  const again = await machine.open();
  const { log: info } = await again.change({ kind: "create", name: "b", settings: {} });
  assert.deepEqual([info?.id, info?.life], [3, life]);
});

test("changes and appends that wait on a node that fails are refused, and do not wait forever", async () => {
  const { log, create, change, machine } = await opened();
  await create("a");
  machine.disk.faults.syncFails = 1;
  const kinds = await Promise.all([
    change({ kind: "delete", log: { name: "a" } }),
    create("a"),
    log.append(run("x"), { log: { name: "a" } }).catch(kindOf),
    change({ kind: "close", log: { name: "a" } }),
  ]);
  for (const kind of kinds)
    assert.ok(["interrupted", "unavailable", "disk-failed", "unknown"].includes(String(kind)), String(kind));
});

const isMismatch = (reason: unknown): boolean =>
  reason instanceof Fault && reason.facts.reason === "VERSION_MISMATCH" && reason.written === "no";

test("a change that states a version is refused if the log has another one", async (t) => {
  await using node = await openOneNode(scratch(t));
  const { named } = node.replica.log;
  const { log: made } = await named.change({ kind: "create", name: "a", settings: {} });
  const { version } = made!;
  await named.open({ name: "a" }).append(run("x"));
  const log = { name: "a" };
  await assert.rejects(named.change({ kind: "update", log, settings: { maxBytes: 9 }, version }), isMismatch);
  await assert.rejects(named.change({ kind: "close", log, version }), isMismatch);
  await assert.rejects(named.change({ kind: "delete", log, version }), isMismatch);
  const info = await named.open(log).info();
  assert.deepEqual([info.settings, info.closed, info.next], [{}, false, 1]);
  const { log: changed } = await named.change({
    kind: "update",
    log,
    settings: { maxBytes: 9 },
    version: info.version,
  });
  assert.ok(changed!.version > info.version);
  await named.change({ kind: "delete", log, version: changed!.version });
  await assert.rejects(
    named.open(log).info(),
    (reason) => reason instanceof Fault && reason.kind === "not-found",
  );
});

test("a delete of a version never deletes a record that was acknowledged and that it did not know", async (t) => {
  await using node = await openOneNode(scratch(t));
  const { named } = node.replica.log;
  for (let round = 0; round < 20; round++) {
    const { log: made } = await named.change({ kind: "create", name: "a", settings: {} });
    const log = { name: "a", id: made!.id };
    const [appended, deleted] = await Promise.allSettled([
      named.open(log).append(run("x")),
      named.change({ kind: "delete", log, version: made!.version }),
    ]);
    assert.notEqual(appended.status, deleted.status, "one of them is first, the other fails");
    if (deleted.status === "rejected") {
      assert.ok(isMismatch(deleted.reason));
      assert.equal((await named.open(log).info()).next, 1);
      await named.change({ kind: "delete", log });
    }
  }
});

test("no log is created before every member has named logs, and the fault names those that do not", async () => {
  let without: readonly string[] = ["n2", "n3"];
  const machine = simMachine("old members");
  await using log = await machine.open({}, { membersWithout: () => without });
  const create = () => log.replica.log.named.change({ kind: "create", name: "a", settings: {} });
  await assert.rejects(create(), (reason) => {
    assert.ok(reason instanceof Fault);
    assert.equal(reason.kind, "failed-precondition");
    assert.deepEqual(reason.facts, { reason: "OLD_MEMBERS", members: "n2 n3" });
    return reason.message.includes("n2, n3");
  });
  assert.equal(log.storedLog.state.logs.stagedLevel, 0);
  without = [];
  assert.equal((await create()).created, true);
  without = ["n2"];
  const { created } = await log.replica.log.named.change({ kind: "create", name: "b", settings: {} });
  assert.equal(created, true, "the level is raised once");
});

test("a time of expiry that has passed is refused, and the log stays as it is", async (t) => {
  await using node = await openOneNode(scratch(t));
  const { named } = node.replica.log;
  const ref = { name: "a" };
  const nowMs = Date.now();
  const expired = (reason: unknown): boolean => {
    assert.ok(reason instanceof Fault);
    const { field, found, nowMs: now } = reason.facts;
    assert.deepEqual([reason.kind, reason.written, field], ["bad-request", "no", "expires_at_ms"]);
    assert.ok(Number(found) <= Number(now));
    assert.match(reason.message, /must be later than now: it is \d+ \(.*Z\), and now is \d+ \(.*Z\)/);
    return true;
  };
  const create = (expiresAtMs: number) =>
    named.change({ kind: "create", name: "a", settings: { expiresAtMs } });
  await assert.rejects(create(1), expired);
  await assert.rejects(create(nowMs), expired);
  assert.equal(named.count, 0);
  const { log: made } = await create(nowMs + 3_600_000);
  const update = (expiresAtMs: number | null, ttlMs: number) =>
    named.change({ kind: "update", log: ref, settings: { expiresAtMs, ttlMs } });
  await assert.rejects(update(nowMs - 1, 9_000_000), expired);
  assert.deepEqual((await named.open(ref).info()).settings, made?.settings);
  await update(nowMs + 7_200_000, 9_000_000);
  await update(null, 9_000_000);
});

test("while no clock is trusted, a time that is not after the latest known one is refused too", async (t) => {
  await using node = await openOneNode(scratch(t));
  const { log, time } = node.replica;
  await log.named.change({ kind: "create", name: "a", settings: {} });
  await log.append(run("x"), { log: { name: "a" } });
  const { timestampMs } = node.storedLog.end;
  time.expiryMs = () => undefined;
  time.stampMs = () => 1_000;
  const update = (expiresAtMs: number) =>
    log.named.change({ kind: "update", log: { name: "a" }, settings: { expiresAtMs } });
  await assert.rejects(update(timestampMs), (reason: unknown) => {
    assert.ok(reason instanceof Fault);
    assert.equal(reason.facts["nowMs"], timestampMs);
    return reason.kind === "bad-request" && reason.message.includes("clock of the leader is not trusted");
  });
  await update(timestampMs + 3_600_000);
});

test("a create that finds other settings says which, and how to change them", async () => {
  const { log } = await opened();
  const create = (settings: NamedLogSettings) => log.change({ kind: "create", name: "a", settings });
  await create({ ttlMs: 5, maxBytes: 9 });
  await assert.rejects(create({ ttlMs: 6, contentType: "text/plain" }), {
    message:
      "there is a log \"a\" with other settings: max_bytes is 9, stated was none; ttl_ms is 5, stated was 6; content_type is not set, stated was text/plain. To change them: tailrace logs update 'a'",
  });
});

test("changes that wait for one log have a limit, and those of another log have room", async () => {
  const { log, change, create } = await opened();
  await create("a");
  await create("b");
  const update = (name: string, ttlMs: number) =>
    change({ kind: "update", log: { name }, settings: { ttlMs } });
  const all = Array.from({ length: 3_000 }, (_, n) => update("a", 1_000_000 + (n % 2)));
  const other = await Promise.all([update("b", 1), update("b", 2)]);
  assert.ok(other.every((one) => typeof one !== "string"));
  const ends = (await Promise.all(all)).filter((one) => typeof one === "string");
  assert.deepEqual(new Set(ends), new Set(["overloaded"]));
  assert.equal(ends.length, 3_000 - 1 - 2_048);
  assert.equal(typeof (await update("a", 7)), "object");
  assert.equal(log.storedLog.state.logs.named("a")?.settings.ttlMs, 7);
});

test("the first create keeps its deadline while the level is raised, and an end of the ids is confirmed", async () => {
  const clock = new StillClock();
  const turns = new LogTurns(clock);
  const raised = Promise.withResolvers<void>();
  const confirmed: string[] = [];
  let level = 0;
  const appender = {
    turns,
    command: () => raised.promise,
    presentTime: () => ({ nowMs: 0, isTrusted: true }),
    disk: { check: () => undefined },
    admission: { checkRowsWritten: () => undefined, quotas: { checkCreate: () => undefined } },
    refuse: async (refusal: () => unknown) => {
      confirmed.push("quorum");
      throw refusal();
    },
  };
  const table = { nextId: 2 ** 32, stagedNamed: () => undefined };
  const admin = new LogAdmin({
    table: () => ({ ...table, level }) as never,
    appender: appender as never,
    membersWithout: () => [],
    drawLife: () => 1,
  });
  const late = admin.create("a", {}, undefined, clock.monotonicMs() + 50);
  clock.advance(50);
  await assert.rejects(late, (fault: Fault) => fault.kind === "deadline" && fault.written === "no");
  raised.resolve();
  level = 1_000;
  await assert.rejects(admin.create("a", {}), (fault: Fault) => fault.facts.reason === "NO_LOG_IDS_LEFT");
  assert.deepEqual(confirmed, ["quorum"]);
});
