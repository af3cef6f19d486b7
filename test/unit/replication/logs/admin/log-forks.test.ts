import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../../src/fault.ts";
import type { LogChange, LogFork, NamedLogSettings } from "../../../../../src/types.ts";
import { allValues, run, simMachine } from "../../../../support/log/logs.ts";
import { until } from "../../../../support/until.ts";

const told = (fault: unknown): string =>
  fault instanceof Fault ? `${fault.kind} ${String(fault.facts.reason ?? "")}`.trim() : String(fault);

/** A node with the log "a", of the records a0 to a3 in two batches. */
async function opened() {
  const machine = simMachine("forks");
  let log = await machine.open();
  const change = (given: LogChange) => log.change(given).then(({ log: info }) => info, told);
  const fork = async (
    name: string,
    source: string,
    at: Omit<LogFork, "source">,
    settings: NamedLogSettings = {},
  ) => {
    const id = log.storedLog.state.logs.named(source)?.id ?? 99;
    return change({ kind: "fork", name, settings, source: { name: source, id }, at });
  };
  const append = (name: string, ...values: string[]) => log.append(run(...values), { log: { name } });
  const values = (name: string) => allValues(log.replica.log.named.open({ name }));
  await change({ kind: "create", name: "a", settings: {} });
  await append("a", "a0", "a1", "a2");
  await append("a", "a3");
  return {
    machine,
    change,
    fork,
    append,
    values,
    row: (name: string) => log.storedLog.state.logs.named(name),
    log: () => log,
    reopen: async () => {
      await log.close();
      log = await machine.open();
    },
  };
}

test("forks of forks show what is before their place, also after a restart, and are independent", async () => {
  const { fork, append, values, reopen, machine } = await opened();
  await fork("b", "a", { next: 2 });
  await append("b", "b2", "b3");
  await append("a", "a4");
  await fork("c", "b", { next: 4, cut: 1 });
  await append("c", "c4");
  await fork("d", "c", { next: 1, cut: 1 });
  await fork("empty", "a", { next: 0 });
  const expected = {
    a: ["a0", "a1", "a2", "a3", "a4"],
    b: ["a0", "a1", "b2", "b3"],
    c: ["a0", "a1", "b2", "b", "c4"],
    d: ["a"],
    empty: [],
  };
  for (const [name, all] of Object.entries(expected)) assert.deepEqual(await values(name), all);
  await reopen();
  for (const [name, all] of Object.entries(expected)) assert.deepEqual(await values(name), all);
  assert.ok(machine);
});

test("a fork is found by time in its source, and after its place in itself", async () => {
  const { machine, fork, append, log } = await opened();
  machine.clock.advance(10_000);
  await fork("b", "a", { next: 3 });
  const { timestampMs } = await append("b", "b3");
  const named = log().replica.log.named.open({ name: "b" });
  assert.equal(await named.seek({ fromTimeMs: 0 }), 0);
  assert.equal(await named.seek({ fromTimeMs: timestampMs }), 3);
  assert.equal(await named.seek({ fromTimeMs: timestampMs + 1 }), 4);
  assert.equal(await named.seek({ last: 2 }), 2);
});

test("a fork beyond the end, of no log, or of another id is refused, and the same one again is found", async () => {
  const { change, fork, row } = await opened();
  assert.equal(await fork("b", "a", { next: 5 }), "out-of-range");
  assert.equal(await fork("b", "a", { next: 0, cut: 1 }), "out-of-range");
  assert.equal(await fork("b", "none", { next: 0 }), "not-found NO_SUCH_LOG");
  const other = { name: "a", id: 77 };
  const stale: LogChange = { kind: "fork", name: "b", settings: {}, source: other, at: { next: 1 } };
  assert.equal(await change(stale), "failed-precondition ANOTHER_LOG");
  assert.equal(row("b"), undefined);
  await fork("b", "a", { next: 2 });
  const again = await fork("b", "a", { next: 2 });
  assert.equal(typeof again === "string" ? again : again?.id, row("b")?.id);
  assert.equal(await fork("b", "a", { next: 3 }), "already-exists");
  assert.equal(await fork("a", "b", { next: 1 }), "already-exists");
  assert.equal(await change({ kind: "create", name: "b", settings: {} }), "already-exists");
});

test("a log with forks is not trimmed, and deleting it hides it until the last fork is gone", async () => {
  const { change, fork, append, values, row, log, reopen } = await opened();
  await fork("b", "a", { next: 3 });
  await fork("c", "b", { next: 2 });
  const trimmed = log().trim(1, { log: { name: "a" } });
  assert.equal(await trimmed.catch(told), "failed-precondition HAS_FORKS");
  await change({ kind: "delete", log: { name: "a" } });
  await change({ kind: "delete", log: { name: "b" } });
  assert.deepEqual([row("a")?.deleted, row("b")?.deleted], [true, true]);
  await reopen();
  for (const name of ["a", "b"]) {
    assert.equal(await append(name, "x").catch(told), "not-found KEPT_FOR_FORKS");
    assert.equal(await values(name).catch(told), "not-found KEPT_FOR_FORKS");
    assert.equal(await change({ kind: "delete", log: { name } }), "not-found KEPT_FOR_FORKS");
    assert.equal(await change({ kind: "create", name, settings: {} }), "already-exists KEPT_FOR_FORKS");
    assert.equal(await fork("new", name, { next: 0 }), "not-found KEPT_FOR_FORKS");
  }
  assert.deepEqual(
    log()
      .replica.log.named.list("", "", 10)
      .logs.map(({ name }) => name),
    ["c"],
  );
  assert.deepEqual(await values("c"), ["a0", "a1"]);
  const { admin } = log().replica.log.named;
  assert.equal(await admin.deleteUnread({ name: "b", id: row("b")!.id }), false);
  await change({ kind: "delete", log: { name: "c" } });
  assert.equal(await admin.deleteUnread({ name: "a", id: row("a")!.id }), false, "b is still a fork of it");
  assert.equal(await admin.deleteUnread({ name: "b", id: row("b")!.id }), true);
  assert.equal(await admin.deleteUnread({ name: "a", id: row("a")!.id }), true);
  assert.equal(log().storedLog.state.logs.size, 0);
});

test("a fork and a delete of its source at the same time leave no fork without its source", async () => {
  for (let n = 0; n < 12; n++) {
    const { change, fork, values, row } = await opened();
    // The first fork prepares the cluster.
    await fork("first", "a", { next: 0 });
    await change({ kind: "delete", log: { name: "first" } });
    const forks = [fork("b", "a", { next: 4 }), fork("c", "a", { next: 1 })];
    for (let turn = 0; turn < n; turn++) await Promise.resolve();
    await Promise.all([...forks, change({ kind: "delete", log: { name: "a" } })]);
    const made = ["b", "c"].filter((name) => row(name) !== undefined);
    assert.equal(row("a")?.deleted ?? false, made.length > 0);
    for (const name of made) assert.deepEqual((await values(name)).length, row(name)!.next);
  }
});

test("two logs that are forked into each other's names at the same time do not wait for each other", async () => {
  const { change, fork, row } = await opened();
  await change({ kind: "create", name: "z", settings: {} });
  const made = await Promise.all([
    fork("z", "a", { next: 1 }),
    fork("a", "z", { next: 0 }),
    fork("a", "a", { next: 1 }),
  ]);
  assert.deepEqual(made, ["already-exists", "already-exists", "already-exists"]);
  assert.equal(row("a")?.fork, undefined);
});

test("only 16 forks of forks are made", async () => {
  const { fork } = await opened();
  let source = "a";
  for (let n = 1; n <= 16; n++) {
    const made = await fork(`f${n}`, source, { next: 1 });
    assert.notEqual(typeof made, "string");
    source = `f${n}`;
  }
  assert.equal(await fork("f17", source, { next: 1 }), "failed-precondition TOO_MANY_FORKS_OF_FORKS");
});

test("retention deletes a hidden log once its fork is gone, and an idle source is hidden", async () => {
  const { machine, change, fork, row, log } = await opened();
  const ttl: LogChange = { kind: "update", log: { name: "a" }, settings: { ttlMs: 60_000 } };
  await change(ttl);
  await fork("b", "a", { next: 4 });
  // It has no settings that ask for anything.
  await fork("c", "a", { next: 2 });
  await fork("d", "c", { next: 1 });
  await change({ kind: "delete", log: { name: "c" } });
  await change({ kind: "delete", log: { name: "d" } });
  const retention = log().replica.log.named.retention;
  retention.start();
  try {
    machine.clock.advance(61_000);
    await until("retention has worked", () => {
      machine.clock.advance(1_000);
      return row("a")?.deleted === true;
    });
    await change({ kind: "delete", log: { name: "b" } });
    await until("retention has worked", () => {
      machine.clock.advance(1_000);
      return row("a") === undefined && row("c") === undefined;
    });
  } finally {
    retention.close();
  }
});

test("a read is replicated once a quarter of the time to live is over, and not again before another one", async () => {
  const { machine, change, row, log } = await opened();
  await change({ kind: "create", name: "s", settings: { ttlMs: 8_000, contentType: "text/plain" } });
  const { named } = log().replica.log;
  const index = (): number => log().storedLog.end.index;
  assert.equal(named.touch({ name: "s" }), undefined, "it was created just now");
  assert.equal(named.touch({ name: "a" }), undefined, "it has no time to live");
  assert.equal(named.touch({ name: "none" }), undefined);
  machine.clock.advance(2_000);
  await Promise.all([named.touch({ name: "s" }), named.touch({ name: "s" })]);
  const touchedMs = row("s")?.touchedMs;
  assert.ok((touchedMs ?? 0) >= row("s")!.createdMs + 2_000);
  const before = index();
  machine.clock.advance(1_999);
  assert.equal(named.touch({ name: "s" }), undefined);
  await named.admin.touch({ name: "s" });
  assert.equal(index(), before, "the leader decides");
  machine.clock.advance(1);
  await named.touch({ name: "s" });
  assert.equal(index(), before + 1);
  assert.equal(row("s")?.touchedMs, touchedMs! + 2_000);
});
