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
      table: () => ({ due: () => [1].values() as Generator<number>, row: () => row }),
      admin: {
        trim: async (...args) => trimmed.push(args),
        deleteIdle: async () => assert.fail("it is not idle"),
        deleteExpired: async () => assert.fail("it does not expire"),
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
    }),
    admin: {
      deleteIdle: () => assert.fail("deleted"),
      deleteExpired: () => assert.fail("deleted"),
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
