import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { LogRow } from "../../../../src/log/mod.ts";
import { decideRetention, LogRetention } from "../../../../src/replication/logs/log-retention.ts";
import type { NamedLogSettings } from "../../../../src/types.ts";
import { run, simMachine } from "../../../support/log/logs.ts";
import { until } from "../../../support/until.ts";

const rowWith = (settings: NamedLogSettings, changes: Partial<LogRow> = {}): LogRow => ({
  id: 1,
  name: "orders",
  settings,
  createdMs: 1_000,
  lowest: 10,
  next: 20,
  bytes: 1_000,
  lastMs: 5_000,
  lastIndex: 9,
  version: 9,
  closed: false,
  ...changes,
});
const never = (): number => assert.fail("the time was asked for");

const noCursors = { deleteIdle: () => assert.fail("it is no cursor") };

test("a log is deleted at its time, or so long after its last append", () => {
  const expires = rowWith({ expiresAtMs: 7_000 });
  assert.equal(decideRetention(expires, 6_999, never), undefined);
  assert.deepEqual(decideRetention(expires, 7_000, never), { kind: "expired" });
  const idle = rowWith({ ttlMs: 2_000 });
  assert.equal(decideRetention(idle, 6_999, never), undefined);
  assert.deepEqual(decideRetention(idle, 7_000, never), { kind: "idle" });
  const unused = rowWith({ ttlMs: 2_000 }, { lastMs: 0, next: 10 });
  assert.deepEqual(decideRetention(unused, 3_000, never), { kind: "idle" });
});

test("records beyond the age or the size are trimmed, by whichever takes more", () => {
  const asked: number[] = [];
  const seekTime = (timestampMs: number): number => {
    asked.push(timestampMs);
    return 13;
  };
  assert.deepEqual(decideRetention(rowWith({ retentionAgeMs: 500 }), 5_000, seekTime), {
    kind: "trim",
    to: 13,
  });
  assert.deepEqual(asked, [4_500]);
  assert.equal(decideRetention(rowWith({ retentionBytes: 1_000 }), 0, never), undefined);
  assert.deepEqual(decideRetention(rowWith({ retentionBytes: 400 }), 0, never), { kind: "trim", to: 16 });
  const both = rowWith({ retentionBytes: 900, retentionAgeMs: 500 });
  assert.deepEqual(decideRetention(both, 5_000, seekTime), { kind: "trim", to: 13 });
  assert.equal(decideRetention(rowWith({ retentionBytes: 0 }, { lowest: 20 }), 0, never), undefined);
});

test("without a trusted clock nothing expires by time, and retention by size goes on", () => {
  for (const settings of [{ expiresAtMs: 1 }, { ttlMs: 1 }, { retentionAgeMs: 1 }])
    assert.equal(decideRetention(rowWith(settings), undefined, never), undefined);
  const sized = rowWith({ retentionBytes: 400, retentionAgeMs: 1, expiresAtMs: 1 });
  assert.deepEqual(decideRetention(sized, undefined, never), { kind: "trim", to: 16 });
});

test("a node deletes logs that expire and trims those beyond their settings, and no others", async () => {
  const machine = simMachine("retention");
  await using log = await machine.open();
  const { named } = log.replica.log;
  const create = (name: string, settings: NamedLogSettings) =>
    named.change({ kind: "create", name, settings });
  await create("short", { ttlMs: 5_000 });
  await create("small", { retentionBytes: 200 });
  await create("plain", {});
  for (const name of ["short", "small", "plain"])
    for (let n = 0; n < 10; n++) await named.open({ name }).append(run(`${name} ${n}`));
  await until("the small log is trimmed", async () => {
    machine.clock.advance(1_000);
    return (await named.open({ name: "small" }).bounds()).lowest > 0;
  });
  await until("the short log is deleted", () => {
    machine.clock.advance(1_000);
    return named.list("", "", 10).logs.every(({ name }) => name !== "short");
  });
  const { lowest, next, bytes } = await named.open({ name: "small" }).describe();
  assert.equal(next, 10);
  assert.ok(lowest > 0 && bytes <= 200, `${lowest} ${bytes}`);
  assert.deepEqual(await named.open({ name: "plain" }).bounds(), { lowest: 0, next: 10 });
});

test("a node whose clock was set trims a log by its size, and deletes none by time", async () => {
  const machine = simMachine("untrusted");
  await using log = await machine.open();
  const { named } = log.replica.log;
  const settings = {
    small: { retentionBytes: 200 },
    idle: { ttlMs: 60_000 },
    aged: { retentionAgeMs: 60_000 },
  };
  for (const [name, one] of Object.entries(settings))
    await named.change({ kind: "create", name, settings: one });
  const names = Object.keys(settings);
  for (const name of names)
    for (let n = 0; n < 10; n++) await named.open({ name }).append(run(`${name} ${n}`));
  machine.clock.setByMs = 7_200_000;
  await until("the small log is trimmed", async () => {
    machine.clock.advance(1_000);
    return (await named.open({ name: "small" }).describe()).bytes <= 200;
  });
  assert.equal(log.replica.time.expiryMs(), undefined);
  assert.deepEqual(await named.open({ name: "aged" }).bounds(), { lowest: 0, next: 10 });
  assert.deepEqual(
    named
      .list("", "", 10)
      .logs.map(({ name }) => name)
      .sort(),
    names.sort(),
  );
});

test("a log expires at its time while records are appended; one with a time to live does not", async () => {
  const machine = simMachine("busy");
  await using log = await machine.open();
  const { named } = log.replica.log;
  const expiresAtMs = machine.clock.wallMs() + 60_000;
  await named.change({ kind: "create", name: "dated", settings: { expiresAtMs } });
  await named.change({ kind: "create", name: "lasting", settings: { ttlMs: 1 } });
  const appends: Promise<unknown>[] = [];
  await until("the dated log is deleted", () => {
    for (const name of ["dated", "lasting"]) appends.push(named.open({ name }).append(run("more")));
    machine.clock.advance(1_000);
    return named.list("", "", 10).logs.every(({ name }) => name !== "dated");
  });
  const outcomes = await Promise.allSettled(appends);
  assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
  assert.ok(machine.clock.wallMs() >= expiresAtMs);
  assert.deepEqual(
    named.list("", "", 10).logs.map(({ name }) => name),
    ["lasting"],
  );
});

test("a time of expiry that was moved before the delete had its turn keeps the log", async () => {
  const machine = simMachine("moved");
  await using log = await machine.open();
  const { named } = log.replica.log;
  const expiresAtMs = machine.clock.wallMs() + 60_000;
  const { log: made } = await named.change({ kind: "create", name: "dated", settings: { expiresAtMs } });
  const ref = { name: "dated", id: made!.id };
  const settings = { expiresAtMs: expiresAtMs + 60_000 };
  await Promise.all([
    named.change({ kind: "update", log: ref, settings }),
    named.admin.deleteExpired(ref, expiresAtMs),
  ]);
  assert.equal((await named.open(ref).info()).settings.expiresAtMs, settings.expiresAtMs);
  await named.admin.deleteExpired(ref, settings.expiresAtMs);
  assert.deepEqual(named.list("", "", 10).logs, []);
});

test("a trim that was decided for other settings deletes nothing", async () => {
  const machine = simMachine("settings");
  await using log = await machine.open();
  const { named } = log.replica.log;
  const { log: made } = await named.change({ kind: "create", name: "kept", settings: { retentionBytes: 1 } });
  const ref = { name: "kept", id: made!.id };
  for (let n = 0; n < 4; n++) await named.open(ref).append(run(`${n}`));
  const [, lowest] = await Promise.all([
    named.change({ kind: "update", log: ref, settings: { retentionBytes: 1_000_000 } }),
    named.admin.trim(ref, 3, undefined, { retentionBytes: 1 }),
  ]);
  assert.equal(lowest, 0);
  assert.deepEqual(await named.open(ref).bounds(), { lowest: 0, next: 4 });
  assert.equal(await named.admin.trim(ref, 3, undefined, { retentionBytes: 1_000_000 }), 3);
});

test("a log that changes while its place is looked for is judged as it is then", async () => {
  const { clock } = simMachine("judged");
  const rows = [rowWith({ retentionAgeMs: 500 }), rowWith({ retentionBytes: 900 }), undefined];
  const trimmed: unknown[] = [];
  for (const later of rows.slice(1)) {
    let row = rows[0];
    let looks = 0;
    const retention = new LogRetention({
      clock,
      table: () => ({
        due: () => [1].values() as Generator<number>,
        row: () => row,
        forksOf: () => 0,
        isBehind: false,
      }),
      admin: {
        cursors: noCursors,
        trim: async (...args) => trimmed.push(args),
        deleteIdle: async () => assert.fail("it is not idle"),
        deleteExpired: async () => assert.fail("it does not expire"),
        deleteUnread: async () => assert.fail("it has no forks"),
      },
      leads: () => true,
      expiryMs: () => 60_000,
      prepareTime: async () => {
        looks++;
        row = later;
      },
      seekTime: never,
    });
    retention.start();
    clock.advance(1_000);
    await until("the place is looked for", () => looks > 0);
    await new Promise(setImmediate);
    retention.close();
  }
  assert.deepEqual(trimmed, [[{ name: "orders", id: 1 }, 11, undefined, { retentionBytes: 900 }]]);
});

test("a database that cannot be read ends a round, and the next one begins from the start", async () => {
  const { clock } = simMachine("unreadable");
  let rounds = 0;
  const retention = new LogRetention({
    clock,
    table: () => ({
      *due() {
        rounds++;
        yield 1;
        throw new Fault("corrupt");
      },
      row: () => undefined,
      forksOf: () => 0,
      isBehind: false,
    }),
    admin: {
      cursors: noCursors,
      deleteIdle: () => assert.fail("deleted"),
      deleteExpired: () => assert.fail("deleted"),
      deleteUnread: () => assert.fail("deleted"),
      trim: () => assert.fail("trimmed"),
    },
    leads: () => true,
    expiryMs: () => 1,
    prepareTime: () => undefined,
    seekTime: never,
  });
  retention.start();
  await until("three rounds began", () => {
    clock.advance(1_000);
    return rounds === 3;
  });
  retention.close();
});

/** A table of logs that have all expired, and what of them was deleted. The first ones are hidden, and have forks. */
function expired(count: number, hidden = 0) {
  const { clock } = simMachine("expired");
  const deleted = new Set<number>();
  const state = { inTurn: 0, most: 0, refused: false, isBehind: false };
  const retention = new LogRetention({
    clock: {
      ...clock,
      // Each question takes a millisecond.
      monotonicMs: () => clock.nowMs++,
      after: (ms, callback) => clock.after(ms, callback),
      soon: (callback) => void setImmediate(callback),
    },
    table: () => ({
      *due() {
        for (let id = 1; id <= count; id++) if (!deleted.has(id)) yield id;
      },
      row: (id) => {
        if (state.inTurn++ === 0) setImmediate(() => (state.inTurn = 0));
        state.most = Math.max(state.most, state.inTurn);
        if (deleted.has(id)) return undefined;
        return rowWith({ expiresAtMs: 1 }, id <= hidden ? { id, deleted: true } : { id });
      },
      forksOf: (id) => (id <= hidden ? 1 : 0),
      isBehind: state.isBehind,
    }),
    admin: {
      cursors: noCursors,
      trim: () => assert.fail("trimmed"),
      deleteIdle: () => assert.fail("it is not idle"),
      deleteUnread: () => assert.fail("it has no forks"),
      deleteExpired: async ({ id }) => {
        if (state.refused) throw new Fault("overloaded");
        deleted.add(id!);
      },
    },
    leads: () => true,
    expiryMs: () => 2,
    prepareTime: () => undefined,
    seekTime: never,
  });
  retention.start();
  return { clock, deleted, state, retention };
}

test("thousands of logs that expire together are deleted one after another, a few in a turn", async () => {
  const { clock, deleted, state, retention } = expired(3_000);
  const beganMs = clock.nowMs;
  await until("all are deleted", () => {
    clock.advance(10);
    return deleted.size === 3_000;
  });
  assert.ok(state.most <= 16, `${state.most} looks in a turn`);
  // At 256 in a second, it would take twelve of them beside the time of the looks.
  assert.ok(clock.nowMs - beganMs < 60_000, `${clock.nowMs - beganMs} ms`);
  retention.close();
});

test("deletes that are refused, or rows that are written too slowly, are left to the next second", async () => {
  const { clock, deleted, state, retention } = expired(1_000);
  state.refused = true;
  clock.advance(1_000);
  await until("it waits for the next second", () => clock.timers === 1);
  state.refused = false;
  state.isBehind = true;
  clock.advance(1_000);
  await until("it waits for the next second", () => clock.timers === 1);
  assert.equal(deleted.size, 0);
  state.isBehind = false;
  await until("all are deleted", () => {
    clock.advance(1_000);
    return deleted.size === 1_000;
  });
  retention.close();
});

test("logs that are kept for their forks take no place of logs that can be deleted", async () => {
  const { clock, deleted, retention } = expired(1_000, 999);
  clock.advance(1_000);
  await until("the first round is over", () => clock.timers === 1);
  assert.deepEqual([...deleted], [1_000]);
  retention.close();
});
