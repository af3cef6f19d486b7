import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { batchKind } from "../../../../src/log/mod.ts";
import { LogAdmin } from "../../../../src/replication/logs/log-admin.ts";
import { LogTurns } from "../../../../src/replication/logs/log-turns.ts";
import type { LogChange, LogRef, NamedLogSettings, SettingsChange } from "../../../../src/types.ts";
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

test("an idle log that got a record since is not deleted", async (t) => {
  await using node = await openOneNode(scratch(t));
  const { named } = node.replica.log;
  const { log: made } = await named.change({ kind: "create", name: "a", settings: {} });
  const log = { name: "a", id: made!.id };
  await Promise.all([node.replica.log.append(run("x"), { log }), named.admin.deleteIdle(log, made!.version)]);
  assert.equal((await named.open(log).info()).next, 1);
  await named.admin.deleteIdle(log, (await named.open(log).info()).version);
  assert.equal(
    kindOf(
      await named
        .open(log)
        .info()
        .catch((fault: unknown) => fault),
    ),
    "not-found",
  );
});

test("no change of a version comes after an append that was accepted before it", async (t) => {
  await using node = await openOneNode(scratch(t));
  const { named } = node.replica.log;
  let refused = 0;
  for (let round = 0; round < 20; round++) {
    for (const kind of ["close", "update"] as const) {
      const { log: made } = await named.change({ kind: "create", name: "a", settings: {} });
      const log = { name: "a", id: made!.id };
      const stated = { log, version: made!.version };
      const change: LogChange =
        kind === "close" ? { kind, ...stated } : { kind, ...stated, settings: { maxBytes: 999 } };
      // On the leader, an append that states the id is queued at once.
      const [appended, changed] = await Promise.allSettled([
        node.replica.log.append(run("x"), { log }),
        named.change(change),
      ]);
      const { version } = await named.open(log).info();
      if (changed.status === "rejected") {
        assert.ok(isMismatch(changed.reason), String(changed.reason));
        assert.equal(appended.status, "fulfilled");
        refused++;
      } else if (appended.status === "fulfilled") assert.ok(changed.value.log!.version < version, kind);
      await named.change({ kind: "delete", log });
    }
  }
  assert.ok(refused > 0);
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

test("no batch of a stream is written before every member can read it; then the level is raised, and the life stays", async () => {
  let without: readonly string[] = [];
  const asked: number[] = [];
  const membersWithout = (level: number): readonly string[] => {
    asked.push(level);
    return without;
  };
  const machine = simMachine("streams");
  await using log = await machine.open({}, { membersWithout });
  const { named } = log.replica.log;
  const { log: made } = await named.change({ kind: "create", name: "a", settings: {} });
  const append = (sequence: number) =>
    log.replica.log.append(run("x"), {
      log: { name: "a" },
      subject: "s",
      stream: { producer: { name: "p", epoch: 0, sequence } },
    });
  without = ["n2"];
  await assert.rejects(append(0), {
    kind: "failed-precondition",
    facts: { reason: "OLD_MEMBERS", members: "n2" },
  });
  assert.equal(log.storedLog.state.logs.stagedLevel, 1);
  await named.open({ name: "a" }).append(run("plain"));
  without = [];
  const both = await Promise.all([append(0), append(1)]);
  assert.deepEqual(
    both.map(({ firstOffset, sequence }) => [firstOffset, sequence]),
    [
      [1, 0],
      [2, 1],
    ],
  );
  assert.equal(log.storedLog.state.logs.level, 2);
  assert.equal(named.life, made!.life);
  without = ["n2"];
  const repeated = await append(0);
  assert.deepEqual([repeated.duplicate, repeated.sequence, repeated.firstOffset], [true, 1, 3]);
  assert.equal(asked.at(-1), 2);
});

test("what a stream has queued counts for its next append: a producer, a repeat and a close", async () => {
  const machine = simMachine("queued streams");
  await using log = await machine.open();
  await log.replica.log.named.change({ kind: "create", name: "a", settings: {} });
  const append = (sequence: number, more: { closes?: true; order?: string } = {}) =>
    log.replica.log.append(run("x"), {
      log: { name: "a" },
      subject: "s",
      stream: { producer: { name: "p", epoch: 0, sequence }, ...more },
    });
  await append(0);
  const kindOf = async (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => "appended",
      (reason: unknown) => (reason instanceof Fault ? (reason.facts.reason ?? reason.kind) : reason),
    );
  const ordered = [append(1, { order: "5" }), append(2, { order: "5" }), append(2, { order: "6" })];
  assert.deepEqual(await Promise.all(ordered.map(kindOf)), ["appended", "STREAM_SEQ", "appended"]);
  const repeats = await Promise.all([append(3), append(3)]);
  assert.deepEqual(
    repeats.map(({ firstOffset, count, duplicate }) => [firstOffset, count, duplicate]),
    [
      [3, 1, false],
      [4, 0, true],
    ],
  );
  const plain = log.replica.log;
  const closing = [
    append(4, { closes: true }),
    append(5),
    append(4),
    plain.append(run("y"), { log: { name: "a" } }),
  ];
  assert.deepEqual(await Promise.all(closing.map(kindOf)), [
    "appended",
    "LOG_CLOSED",
    "appended",
    "LOG_CLOSED",
  ]);
  const none = { bytes: new Uint8Array(0), count: 0 };
  const again = await plain.append(none, { log: { name: "a" }, subject: "s", stream: { closes: true } });
  assert.deepEqual([again.duplicate, again.firstOffset], [true, 5], "a close is repeated");
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

test("a time to live that has passed since the last append is refused, and counts from it otherwise", async (t) => {
  await using node = await openOneNode(scratch(t));
  const { named } = node.replica.log;
  const { log: made } = await named.change({ kind: "create", name: "a", settings: {} });
  const nowMs = made!.createdMs + 60_000;
  node.replica.time.expiryMs = () => nowMs;
  const log = { name: "a" };
  const update = (ttlMs: number | null, validateOnly?: true) =>
    named.change({ kind: "update", log, settings: { ttlMs }, ...(validateOnly && { validateOnly }) });
  const passed = (reason: unknown): boolean => {
    assert.ok(reason instanceof Fault);
    const { field, found } = reason.facts;
    assert.deepEqual([reason.kind, reason.written, field, found], ["bad-request", "no", "ttl_ms", 60_000]);
    assert.match(
      reason.message,
      /log "a" was created at .*Z, so with ttl_ms 60000 it would be deleted at once/,
    );
    return true;
  };
  await assert.rejects(update(60_000), passed);
  await assert.rejects(update(60_000, true), passed);
  assert.deepEqual((await named.open(log).info()).settings, {});
  await update(60_001);
  await update(null);
});

test("a change that is only checked is refused like a change, and changes nothing", async (t) => {
  await using node = await openOneNode(scratch(t), {}, { quotas: { subjectLogsMax: 1 } });
  const { named } = node.replica.log;
  const create = (name: string, settings: NamedLogSettings = {}) =>
    named.change({ kind: "create", name, settings, validateOnly: true }, { subject: "ann" });
  assert.deepEqual(await create("a"), { log: undefined, created: true });
  assert.equal(named.count, 0, "the level was not raised either");
  assert.equal(named.life, 0);
  await assert.rejects(create("a", { expiresAtMs: 1 }), /must be later than now/);
  const { log: made } = await named.change({ kind: "create", name: "a", settings: {} }, { subject: "ann" });
  const { index } = node.storedLog.end;
  assert.deepEqual(await create("a"), { log: made, created: false });
  await assert.rejects(create("a", { maxBytes: 1 }), /with other settings: max_bytes is not set/);
  for (let n = 0; n < 3; n++) await assert.rejects(create("b"), /"ann" has created 1 logs/);
  const check = (ref: LogRef, settings: SettingsChange, version?: number) => {
    const stated = version === undefined ? {} : { version };
    return named.change({ kind: "update", log: ref, settings, ...stated, validateOnly: true });
  };
  assert.deepEqual(await check({ name: "a" }, { maxBytes: 1 }), { log: made, created: false });
  await assert.rejects(check({ name: "b" }, {}), /there is no log "b"/);
  await assert.rejects(check({ name: "a", id: made!.id + 1 }, {}), /another log/);
  await assert.rejects(check({ name: "a" }, {}, made!.version + 1), isMismatch);
  assert.equal(node.storedLog.end.index, index, "nothing was written");
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
    bounds: () => ({ lowest: 0, next: 0 }),
  });
  const late = admin.creation.create("a", {}, undefined, clock.monotonicMs() + 50);
  clock.advance(50);
  await assert.rejects(late, (fault: Fault) => fault.kind === "deadline" && fault.written === "no");
  raised.resolve();
  level = 1_000;
  await assert.rejects(
    admin.creation.create("a", {}),
    (fault: Fault) => fault.facts.reason === "NO_LOG_IDS_LEFT",
  );
  assert.deepEqual(confirmed, ["quorum"]);
});

test("a read that counts is not replicated while the disk or its rows take nothing more", async () => {
  const row = {
    id: 1,
    name: "s",
    settings: { ttlMs: 8, contentType: "text/plain" },
    createdMs: 0,
    lastMs: 0,
  };
  const commands: string[] = [];
  let refused: "disk" | "rows" | undefined;
  const check = (what: typeof refused) => () => {
    if (refused === what) throw new Fault(what === "disk" ? "disk-full" : "overloaded");
  };
  const appender = {
    turns: new LogTurns(new StillClock()),
    presentTime: () => ({ nowMs: 1_000, isTrusted: true }),
    disk: { check: check("disk") },
    admission: { checkRowsWritten: check("rows"), rowOf: () => row },
    namedCommand: async (_: number, __: Uint8Array, { name }: { readonly name: string }) => {
      commands.push(name);
    },
  };
  const admin = new LogAdmin({
    table: () => ({ level: 1_000 }) as never,
    appender: appender as never,
    membersWithout: () => [],
    drawLife: () => 1,
    bounds: () => ({ lowest: 0, next: 0 }),
  });
  for (refused of ["disk", "rows"] as const) await admin.touch({ name: "s" });
  assert.deepEqual(commands, []);
  refused = undefined;
  await admin.touch({ name: "s" });
  assert.deepEqual(commands, ["s"]);
});

const hiddenNames = ["a\u200bb", "nimda\u202e", "\ufeffa", "a\u2066", "a\u200d", "a\u0378", "a\ufffd"];

test("a log whose name has a character that is not visible is not created, in any way", async () => {
  const { log, create } = await opened();
  await create("a");
  const end = log.storedLog.end.index;
  const source = { name: "a", id: 1 };
  for (const name of hiddenNames) {
    const code = name
      .replace(/[\x20-\x7e]/g, "")
      .codePointAt(0)!
      .toString(16)
      .toUpperCase()
      .padStart(4, "0");
    const isRefused = (fault: Fault): boolean =>
      fault.kind === "bad-request" && fault.written === "no" && fault.message.includes(`U+${code}`);
    for (const wanted of [
      { kind: "create", name, settings: {} },
      { kind: "create", name, settings: {}, validateOnly: true },
      { kind: "fork", name, settings: {}, source, at: { next: 0 } },
    ] as const)
      await assert.rejects(log.change(wanted), isRefused, `${wanted.kind} ${JSON.stringify(name)}`);
    const cursor = { kind: "commit-cursor", log: source, cursor: name, offset: 0 } as const;
    await assert.rejects(log.change(cursor), isRefused, `cursor ${JSON.stringify(name)}`);
  }
  assert.equal(log.storedLog.state.logs.size, 1);
  const { logs } = log.storedLog.state;
  assert.equal(logs.cursorsOf(1), 0);
  assert.ok(log.storedLog.end.index <= end + 2, "only the level was raised");
  for (const name of ["🏳️‍🌈", "👩‍🚀/1"]) assert.equal(typeof (await create(name)), "object", name);
});

test("a log of such a name, which an earlier version created, is found, changed and deleted", async () => {
  const name = "nimda\u202e";
  const row = { id: 1, name, settings: {}, closed: false, createdMs: 0, lastMs: 0, version: 5 };
  const commands: string[] = [];
  const appender = {
    turns: new LogTurns(new StillClock()),
    presentTime: () => ({ nowMs: 1_000, isTrusted: true }),
    disk: { check: () => undefined },
    admission: { checkRowsWritten: () => undefined, rowOf: () => row },
    confirmed: () => Promise.resolve(),
    unstagedBytes: () => 0,
    namedCommand: async (kind: number, _: Uint8Array, target: { readonly name: string }) => {
      commands.push(`${kind} ${target.name}`);
    },
  };
  const table = {
    ...{ level: 1_000, stagedNamed: () => row, row: () => row },
    ...{ forksOf: () => 0, cursorsOf: () => 0 },
  };
  const admin = new LogAdmin({
    table: () => table as never,
    appender: appender as never,
    membersWithout: () => [],
    drawLife: () => 1,
    bounds: () => ({ lowest: 0, next: 0 }),
  });
  assert.deepEqual(await admin.creation.create(name, {}), { row, created: false });
  await admin.update({ name }, { maxBytes: 9 });
  await admin.close({ name });
  await admin.delete({ name });
  assert.deepEqual(
    commands,
    [batchKind.configureLog, batchKind.closeLog, batchKind.deleteLog].map((kind) => `${kind} ${name}`),
  );
});
