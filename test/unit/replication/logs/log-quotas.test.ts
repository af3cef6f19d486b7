import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { SyncPolicy } from "../../../../src/log/mod.ts";
import { LogQuotas, logsMost, type QuotaLimits } from "../../../../src/replication/logs/log-quotas.ts";
import { observeLogs } from "../../../../src/replication/logs/metrics/observe-logs.ts";
import { Instruments } from "../../../../src/telemetry/instruments.ts";
import type { LogChange } from "../../../../src/types.ts";
import { FixedSyncPolicy } from "../../../support/log/fixed-sync-policy.ts";
import { run, StillClock, simMachine } from "../../../support/log/logs.ts";

/** Quotas over a table of these logs: each subject with the bytes of each of its logs. */
function quotasOf(limits: QuotaLimits, logs: Readonly<Record<string, readonly number[]>> = {}) {
  const clock = new StillClock();
  const table = {
    get size() {
      return Object.values(logs).flat().length;
    },
    usageOf: (subject: string) => {
      const own = logs[subject] ?? [];
      return { logs: own.length, bytes: own.reduce((sum, bytes) => sum + bytes, 0) };
    },
  };
  return { quotas: new LogQuotas(() => table, clock, limits), clock };
}

/** What a refusal says, as kind, reason, limit and found; undefined for none. */
function refusal(work: () => unknown): readonly unknown[] | undefined {
  try {
    work();
    return undefined;
  } catch (fault) {
    assert.ok(fault instanceof Fault);
    assert.equal(fault.written, "no");
    const { reason, limit, found } = fault.facts as Record<string, unknown>;
    return [fault.kind, reason, limit, found];
  }
}

test("the logs of the cluster are limited, those that are being created included", () => {
  const { quotas } = quotasOf({ logsMax: 3 }, { ann: [0], bob: [0] });
  assert.equal(
    refusal(() => quotas.checkCreate(undefined)),
    undefined,
  );
  const ended = quotas.creates(undefined);
  assert.deepEqual(
    refusal(() => quotas.checkCreate("ann")),
    ["quota-exceeded", "TOO_MANY_LOGS", 3, 3],
  );
  ended();
  assert.equal(
    refusal(() => quotas.checkCreate("ann")),
    undefined,
  );
  assert.equal(logsMost, 1_000_000);
});

test("the logs of a subject are limited, and another subject has its own", () => {
  const { quotas } = quotasOf({ subjectLogsMax: 2, unlimitedSubjects: ["root"] }, { ann: [0], root: [0, 0] });
  const ended = quotas.creates("ann");
  assert.deepEqual(
    refusal(() => quotas.checkCreate("ann")),
    ["quota-exceeded", "TOO_MANY_LOGS_OF_SUBJECT", 2, 2],
  );
  for (const other of ["bob", "root", undefined])
    assert.equal(
      refusal(() => quotas.checkCreate(other)),
      undefined,
      String(other),
    );
  ended();
  assert.equal(
    refusal(() => quotas.checkCreate("ann")),
    undefined,
  );
});

test("a subject creates a limited number of logs in a minute", () => {
  const { quotas, clock } = quotasOf({ subjectCreatesPerMinute: 2 });
  quotas.creates("ann")();
  clock.advance(30_000);
  const ended = quotas.creates("ann");
  assert.deepEqual(
    refusal(() => quotas.checkCreate("ann")),
    ["overloaded", "TOO_MANY_CREATES", 2, 2],
    "one of them is under way",
  );
  ended();
  assert.equal(
    refusal(() => quotas.checkCreate("bob")),
    undefined,
  );
  clock.advance(29_999);
  assert.notEqual(
    refusal(() => quotas.checkCreate("ann")),
    undefined,
  );
  clock.advance(1);
  assert.equal(
    refusal(() => quotas.checkCreate("ann")),
    undefined,
  );
  for (let subject = 0; subject < 5_000; subject++) quotas.creates(`s${subject}`)();
  assert.equal(
    refusal(() => quotas.checkCreate("s4999")),
    undefined,
  );
});

test("a create that failed does not count in its minute", () => {
  const { quotas, clock } = quotasOf({ subjectCreatesPerMinute: 2 });
  const failed = quotas.creates("ann");
  failed(new Fault("unavailable"));
  failed();
  quotas.creates("ann")();
  assert.equal(
    refusal(() => quotas.checkCreate("ann")),
    undefined,
  );
  const late = quotas.creates("ann");
  clock.advance(60_000);
  quotas.creates("ann")();
  late(new Fault("unavailable"));
  quotas.creates("ann")();
  assert.deepEqual(
    refusal(() => quotas.checkCreate("ann")),
    ["overloaded", "TOO_MANY_CREATES", 2, 2],
    "it is of an earlier minute",
  );
});

test("a log is not counted twice between its commit and the answer to its create", async () => {
  const { log, create } = await opened({ logsMax: 3 });
  assert.equal(await create("a"), "created");
  const { committed } = log.storedLog;
  const commitTo = committed.commitTo.bind(committed);
  const asked: Promise<unknown>[] = [];
  committed.commitTo = (...args) => {
    const done = commitTo(...args);
    // In the same turn: the create that was committed has not been answered.
    if (asked.length === 0) queueMicrotask(() => asked.push(create("c")));
    return done;
  };
  assert.equal(await create("b"), "created");
  assert.deepEqual(await Promise.all(asked), ["created"]);
});

test("the bytes of a subject's logs are limited over all of them, those that are being appended included", () => {
  const { quotas } = quotasOf({ subjectLogBytesMax: 1_000 }, { ann: [300, 400], bob: [0] });
  const [a, b] = [
    { name: "a", owner: "ann" },
    { name: "b", owner: "bob" },
  ];
  assert.equal(
    refusal(() => quotas.checkAppend(a, 300)),
    undefined,
  );
  assert.deepEqual(
    refusal(() => quotas.checkAppend(a, 301)),
    ["quota-exceeded", "TOO_MANY_BYTES_OF_SUBJECT", 1_000, 700],
  );
  const barriers: ((fault: Fault | undefined) => void)[] = [];
  quotas.appends(a, 200, { onSettled: (barrier) => void barriers.push(barrier) });
  assert.deepEqual(
    refusal(() => quotas.checkAppend(a, 101)),
    ["quota-exceeded", "TOO_MANY_BYTES_OF_SUBJECT", 1_000, 900],
  );
  assert.equal(
    refusal(() => quotas.checkAppend(b, 1_000)),
    undefined,
  );
  assert.equal(
    refusal(() => quotas.checkAppend({ name: "c" }, 5_000)),
    undefined,
    "a log that no caller created",
  );
  for (const barrier of barriers) barrier(undefined);
  assert.equal(
    refusal(() => quotas.checkAppend(a, 300)),
    undefined,
  );
});

/** A log of one node with quotas, and how its changes and appends end. */
async function opened(quotas: QuotaLimits, machine = simMachine("quotas"), syncPolicy?: SyncPolicy) {
  const log = await machine.open({}, { quotas, ...(syncPolicy === undefined ? {} : { syncPolicy }) });
  const kindOf = (fault: unknown): unknown =>
    fault instanceof Fault ? (fault.facts.reason ?? fault.kind) : fault;
  const change = (given: LogChange, subject?: string) =>
    log.replica.log.named
      .change(given, subject === undefined ? {} : { subject })
      .then(({ created }) => (created ? "created" : "known"), kindOf);
  const create = (name: string, subject?: string) => change({ kind: "create", name, settings: {} }, subject);
  const append = (name: string, value: string) =>
    log.append(run(value), { log: { name } }).then(() => "appended", kindOf);
  return { log, machine, create, append, drop: (name: string) => change({ kind: "delete", log: { name } }) };
}

test("creates at the same time do not exceed a quota, and a delete makes room", async () => {
  const { create, drop } = await opened({ logsMax: 5, subjectLogsMax: 2 });
  const ann = await Promise.all([
    create("a", "ann"),
    create("b", "ann"),
    create("c", "ann"),
    create("a", "ann"),
  ]);
  assert.deepEqual(ann, ["created", "created", "TOO_MANY_LOGS_OF_SUBJECT", "known"]);
  const more = await Promise.all(["d", "e", "f", "g"].map((name) => create(name)));
  assert.deepEqual(more, ["created", "created", "created", "TOO_MANY_LOGS"]);
  await drop("a");
  assert.equal(await create("g", "ann"), "created");
});

/** Creates and appends that wait for the disk, which `release` lets go on. */
async function held(name: string, quotas: QuotaLimits) {
  let waiting: Promise<void> | undefined;
  const machine = simMachine(name, { delay: () => waiting ?? Promise.resolve() });
  const log = await opened(quotas, machine, new FixedSyncPolicy(false));
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const hold = (): void => {
    waiting = promise;
  };
  return { ...log, hold, release };
}

const turns = async (count = 20): Promise<void> => {
  for (let at = 0; at < count; at++) await new Promise((resolve) => setImmediate(resolve));
};

for (const end of ["written", "lost"] as const)
  test(`a quota that is used up by what is queued: it refuses only once that is written (${end})`, async () => {
    const { log, create, append, hold, release } = await held(`held ${end}`, {
      logsMax: 5,
      subjectLogBytesMax: 2_000,
    });
    for (const name of ["a", "b", "c"]) assert.equal(await create(name, "ann"), "created");
    hold();
    const done: unknown[] = [];
    // The first ones are in flight, the next ones are queued, and the last ones do not fit beside these.
    const first = [create("d"), append("a", "x".repeat(900))];
    await turns();
    const asked = [
      ...first,
      create("e"),
      append("b", "x".repeat(900)),
      create("f"),
      append("c", "x".repeat(900)),
    ];
    for (const one of asked) void one.then((outcome) => done.push(outcome));
    await turns();
    assert.deepEqual(done, [], "nothing is certain while the disk writes");
    const closed = end === "lost" ? log.close() : undefined;
    release();
    await closed;
    const found = await Promise.all(asked);
    const [, , , , logs, bytes] = found;
    const refused =
      end === "lost" ? ["unavailable", "unavailable"] : ["TOO_MANY_LOGS", "TOO_MANY_BYTES_OF_SUBJECT"];
    assert.deepEqual([logs, bytes], refused, String(found));
  });

test("a refusal by a quota waits no longer than its caller, and few wait", async () => {
  const { log, create, hold, release, machine } = await held("held late", { logsMax: 2 });
  for (const name of ["a"]) assert.equal(await create(name), "created");
  hold();
  const first = create("b");
  await turns();
  const { named } = log.replica.log;
  const deadlineMs = machine.clock.monotonicMs() + 1_000;
  const late = named.change({ kind: "create", name: "c", settings: {} }, { deadlineMs });
  const outcome = late.catch(({ kind, written }: Fault) => `${kind} ${written}`);
  await turns();
  machine.clock.advance(1_000);
  assert.equal(await Promise.race([outcome, turns().then(() => "waits")]), "deadline no");
  const many = Array.from({ length: 5_000 }, (_, n) => create(`more ${n}`));
  const refused: unknown[] = [];
  for (const one of many) void one.then((kind) => refused.push(kind));
  await turns();
  assert.ok(refused.length >= 900 && refused.every((kind) => kind === "overloaded"), `${refused.length}`);
  release();
  assert.equal(await first, "created");
  assert.equal((await Promise.all(many)).filter((kind) => kind === "TOO_MANY_LOGS").length, 4_095);
  await log.close();
});

test("a create that a quota refused is decided again with what is committed", () => {
  const { quotas } = quotasOf({ logsMax: 2, subjectLogBytesMax: 100 }, { ann: [50] });
  const ended = quotas.creates("ann");
  const barriers: ((fault: Fault | undefined) => void)[] = [];
  quotas.appends({ owner: "ann" }, 40, { onSettled: (barrier) => void barriers.push(barrier) });
  const a = { name: "a", owner: "ann" };
  assert.ok(refusal(() => quotas.checkCreate("bob")) && refusal(() => quotas.checkAppend(a, 30)));
  assert.deepEqual([quotas.refusedCreate("bob"), quotas.refusedAppend(a, 30)()], [undefined, undefined]);
  assert.equal(quotas.refusedAppend(a, 51)()?.facts["found"], 50);
  ended();
  for (const barrier of barriers) barrier(undefined);
});

test("the counts are the same after a restart, from a checkpoint and from the log", async () => {
  const machine = simMachine("quotas/restart");
  const limits = { subjectLogsMax: 2, subjectLogBytesMax: 2_000 };
  const first = await opened(limits, machine);
  await first.create("a", "ann");
  await first.append("a", "x".repeat(1_500));
  const usage = first.log.storedLog.state.logs.usageOf("ann");
  assert.equal(usage.logs, 1);
  assert.ok(usage.bytes > 1_500 && usage.bytes < 1_700);
  const second = await opened(limits, machine);
  assert.deepEqual(second.log.storedLog.state.logs.usageOf("ann"), usage);
  assert.equal(second.log.storedLog.state.logs.named("a")?.owner, "ann");
  assert.equal(await second.append("a", "x".repeat(600)), "TOO_MANY_BYTES_OF_SUBJECT");
  assert.equal(await second.create("b", "ann"), "created");
  assert.equal(await second.create("c", "ann"), "TOO_MANY_LOGS_OF_SUBJECT");
  assert.deepEqual(second.log.storedLog.state.logs.usageOf("ann"), {
    ...usage,
    logs: 2,
  });
});

test("appends at the same time to several logs of a subject do not exceed its bytes, and a trim makes room", async () => {
  const { log, create, append } = await opened({ subjectLogBytesMax: 4_000 });
  await create("a", "ann");
  await create("b", "ann");
  const all = await Promise.all(["a", "b", "a", "b", "a"].map((name) => append(name, "x".repeat(1_200))));
  assert.deepEqual(all, [
    "appended",
    "appended",
    "appended",
    "TOO_MANY_BYTES_OF_SUBJECT",
    "TOO_MANY_BYTES_OF_SUBJECT",
  ]);
  await log.trim(1, { log: { name: "a" } });
  assert.equal(await append("b", "x".repeat(1_200)), "appended");
});

test("what an append of a stream states beside its records counts, also while it is under way", async () => {
  const { log, create } = await opened({ subjectLogBytesMax: 2_000 });
  await create("a", "ann");
  const append = (n: number) =>
    log.append(run("x"), { log: { name: "a" }, stream: { order: String(n).padStart(255, "0") } }).then(
      () => true,
      () => false,
    );
  assert.equal(await append(0), true);
  const all = await Promise.all([1, 2, 3, 4, 5, 6, 7].map(append));
  assert.ok(all.includes(true) && all.includes(false), String(all));
  assert.ok(log.storedLog.state.logs.usageOf("ann").bytes <= 2_000);
});

test("refusals are counted by quota, and shown beside the number of logs and its limit", () => {
  const { quotas } = quotasOf(
    { logsMax: 4, subjectLogsMax: 2, subjectLogBytesMax: 100, subjectCreatesPerMinute: 1 },
    { ann: [0, 90], bob: [0] },
  );
  refusal(() => quotas.checkCreate("ann"));
  refusal(() => quotas.checkAppend({ name: "a", owner: "ann" }, 20));
  refusal(() => quotas.checkAppend({ name: "a", owner: "ann" }, 20));
  quotas.creates("bob")();
  refusal(() => quotas.checkCreate("bob"));
  const end = quotas.creates("carl");
  refusal(() => quotas.checkCreate("dora"));
  end();
  const instruments = new Instruments();
  const lags = { collect: () => [{ log: "a", cursor: "c", lag: 7 }] };
  observeLogs(instruments, () => ({ size: 3, cursors: 2 }), quotas, lags);
  const shown = instruments.collect().map(({ name, points }) => [name, points]);
  const total = (quota: string, value: number) => ({ attributes: { quota }, value });
  assert.deepEqual(shown, [
    ["tailrace.logs", [{ attributes: {}, value: 3 }]],
    ["tailrace.cursors", [{ attributes: {}, value: 2 }]],
    ["tailrace.cursor.lag", [{ attributes: { log: "a", cursor: "c" }, value: 7 }]],
    ["tailrace.logs.limit", [{ attributes: {}, value: 4 }]],
    [
      "tailrace.logs.refused",
      [
        ...[total("logs", 1), total("subject-logs", 1), total("subject-bytes", 2)],
        ...[total("subject-creates", 1), total("cursors", 0)],
      ],
    ],
  ]);
});

test("a subject that is longer than that of an append creates nothing", async () => {
  const { create } = await opened({});
  assert.equal(await create("a", "x".repeat(256)), "bad-request");
  assert.equal(await create("a", "x".repeat(255)), "created");
});
