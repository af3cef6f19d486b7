import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { AppendQueue, type NewAppend } from "../../../../src/log/append/append-queue.ts";
import { appendResult, batchKind, defaultSettings } from "../../../../src/log/mod.ts";
import { ProducerTable } from "../../../../src/log/state/producer-table.ts";
import type { ProducerStamp } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";

const stamp = (sequence: number, epoch = 0): ProducerStamp => ({ subject: "s", id: 1n, epoch, sequence });
const owner = { log: undefined, subject: "s" };
const append = (values: readonly string[], producer?: ProducerStamp): NewAppend => ({
  run: run(...values),
  producer,
  owner,
});
const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean =>
    reason instanceof Fault && reason.kind === kind;

test("appends share a group until it is taken, and count as queued records", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const first = queue.add(append(["a", "b"]));
  const second = queue.add(append(["c"]));
  assert.equal(first.group, second.group);
  assert.deepEqual([first.place, second.place, queue.recordsOf(0)], [0, 2, 3]);
  assert.deepEqual(queue.take()?.parts, [first.group]);
  assert.deepEqual([queue.empty, queue.recordsOf(0), queue.take()], [true, 0, undefined]);
  assert.notEqual(queue.add(append(["d"])).group, first.group);
});

test("a full queue refuses appends as overloaded, but an empty one takes any append", () => {
  const queue = new AppendQueue({ bytesMax: 10, appendsMax: 100 });
  queue.add(append(["x".repeat(100)]));
  assert.throws(() => queue.add(append(["y"])), isFault("overloaded"));
  queue.take();
  queue.add(append(["y"]));
  const few = new AppendQueue({ bytesMax: 1e6, appendsMax: 1 });
  few.addCommand(batchKind.noOp, new Uint8Array(0), owner);
  assert.throws(() => few.add(append(["y"])), isFault("overloaded"));
});

test("a queued batch of a producer answers its duplicate, and fences older epochs", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const table = new ProducerTable();
  const check = (of: ProducerStamp, count: number) => queue.check(of, count, table, 0, defaultSettings, []);
  assert.deepEqual(check(stamp(0), 2), { append: true });
  queue.add(append(["other"]));
  const { group } = queue.add(append(["a", "b"], stamp(0)));
  assert.deepEqual(check(stamp(1), 1), { queued: group, place: 2 });
  assert.deepEqual(check(stamp(2), 1), { append: true });
  assert.throws(() => check(stamp(4), 1), isFault("out-of-sequence"));
  assert.deepEqual(check(stamp(0, 1), 1), { append: true });
  queue.add(append(["c"], stamp(0, 1)));
  assert.throws(() => check(stamp(2), 1), isFault("producer-fenced"));
});

test("groups that were taken and are not staged yet are checked too", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  queue.add(append(["a"], stamp(0)));
  const taken = queue.take()!;
  const verdict = queue.check(stamp(0), 1, new ProducerTable(), 0, defaultSettings, [taken]);
  assert.deepEqual(verdict, { queued: taken.last, place: 0 });
});

test("a failed queue rejects its appends and barriers, and is empty", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const { group, place } = queue.add(append(["a"]));
  const seen: unknown[] = [];
  const waiter = {
    place,
    count: 1,
    duplicate: false,
    deadlineMs: undefined,
    logId: undefined,
    resolve: () => {},
    reject: (why: Fault) => seen.push(why.kind),
  };
  group.wait(waiter);
  group.onSettled((fault) => seen.push(fault?.kind));
  queue.fail(new Fault("not-leader"));
  assert.deepEqual(seen, ["not-leader", "not-leader"]);
  assert.equal(queue.empty, true);
  assert.deepEqual(appendResult(waiter, 7, 5), {
    firstOffset: 7,
    count: 1,
    timestampMs: 5,
    duplicate: false,
  });
});

test("reserved room counts for the limits until it is released, also after a failure", () => {
  const queue = new AppendQueue({ bytesMax: 160, appendsMax: 12 });
  const bytes = run("x".repeat(14)).bytes.length;
  const add = () => queue.add(append(["x".repeat(14)]));
  const release = [queue.reserve(owner, bytes), queue.reserve(owner, bytes)];
  assert.throws(() => queue.reserve(owner, bytes), isFault("overloaded"));
  assert.throws(add, isFault("overloaded"));
  queue.fail(new Fault("unavailable"));
  assert.throws(add, isFault("overloaded"));
  for (const one of release) {
    one();
    add();
  }
  assert.throws(add, isFault("overloaded"));
});

const named = (logId: number, baseOffset: number, value: string, subject = "s"): NewAppend => ({
  run: run(value),
  target: { logId, baseOffset },
  owner: { log: `log ${logId}`, subject },
});
const kibibytes = (count: number): string => "x".repeat(count * 1024);

test("fair between logs: logs with many appends delay another one by no more than one turn of each", () => {
  const queue = new AppendQueue({ bytesMax: 1e9, appendsMax: 1e6 });
  for (const bulk of [0, 1, 2]) {
    for (let at = 0; at < 500; at++) {
      queue.add(bulk === 0 ? append([kibibytes(64)]) : named(bulk, at, kibibytes(64)));
    }
  }
  for (let at = 0; at < 10; at++) {
    const { group } = queue.add(named(9, at, "y"));
    // A turn of three logs takes at most three write groups: one of them waits in groups of 1 MiB.
    const taken = [queue.take()!, queue.take()!, queue.take()!];
    assert.ok(
      taken.some(({ parts }) => parts.includes(group)),
      `append ${at} waits behind other logs`,
    );
  }
  const bytes = new Map<number, number>();
  for (let take = 0; take < 20; take++) {
    for (const { logId, builder } of queue.take()!.parts)
      bytes.set(logId, (bytes.get(logId) ?? 0) + builder.usedBytes);
  }
  const sums = [...bytes.values()];
  assert.equal(sums.length, 3);
  assert.ok(Math.max(...sums) - Math.min(...sums) < 4 * 1024 * 1024, String(sums));
});

test("order within a log: the appends and commands of a log leave the queue as they came, and lie together", () => {
  const queue = new AppendQueue({ bytesMax: 1e9, appendsMax: 1e6 });
  const added = new Map<number, number[]>();
  for (let at = 0; at < 3_000; at++) {
    const logId = at % 7;
    const { group } = queue.add(
      logId === 0 ? append([kibibytes(1 + (at % 90))]) : named(logId, at, kibibytes(1 + (at % 90))),
    );
    added.set(logId, [...(added.get(logId) ?? []), at]);
    group.wait({
      ...{ place: at, count: 1, duplicate: false, deadlineMs: undefined, logId },
      ...{ resolve: () => {}, reject: () => {} },
    });
  }
  const command = queue.addCommand(batchKind.closeLog, new Uint8Array(0), owner, { logId: 3, baseOffset: 9 });
  assert.equal(queue.last(3), command);
  const taken = new Map<number, number[]>();
  for (let group = queue.take(); group !== undefined; group = queue.take()) {
    const logs = group.parts.map(({ logId }) => logId);
    for (const [at, logId] of logs.entries())
      assert.ok(
        logs.lastIndexOf(logId) - logs.indexOf(logId) < logs.filter((one) => one === logId).length,
        `log ${logId} at ${at}`,
      );
    for (const { logId, waiters } of group.parts) {
      taken.set(logId, [...(taken.get(logId) ?? []), ...waiters.map(({ place }) => place)]);
    }
  }
  assert.deepEqual(taken, added);
  assert.deepEqual([queue.empty, queue.recordsOf(3), queue.bytesOf(3)], [true, 0, 0]);
});

test("limited by log and subject: a bulk writer makes only itself overloaded", () => {
  const queue = new AppendQueue({ bytesMax: 1024 * 1024, appendsMax: 1e6 });
  const fill = (one: NewAppend): void => {
    for (;;) queue.add(one);
  };
  assert.throws(() => fill(named(1, 0, kibibytes(1))), isFault("overloaded"));
  for (const other of [
    named(2, 0, kibibytes(16)),
    named(1, 0, kibibytes(16), "t"),
    append([kibibytes(16)]),
  ]) {
    queue.add(other);
  }
  assert.throws(() => queue.add(named(1, 0, kibibytes(1))), isFault("overloaded"));
  queue.fail(new Fault("unavailable"));
  queue.add(named(1, 0, kibibytes(1)));
});

test("what fails fails in all logs", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const failed: number[] = [];
  for (const logId of [1, 2, 3]) {
    queue.add(named(logId, 0, "a")).group.onSettled((fault) => {
      assert.equal(fault?.kind, "unavailable");
      failed.push(logId);
    });
  }
  queue.fail(new Fault("unavailable"));
  assert.deepEqual([failed, queue.empty, queue.take()], [[1, 2, 3], true, undefined]);
});

test("a write group has a limited number of appends, of one log or of several", () => {
  for (const logs of [1, 5]) {
    const queue = new AppendQueue({ bytesMax: 1e9, appendsMax: 1e6 });
    const total = 6_000;
    for (let n = 0; n < total; n++) {
      const log = n % logs;
      const target = log === 0 ? {} : { target: { logId: log, baseOffset: queue.recordsOf(log) } };
      queue.add({ ...append(["a"]), ...target });
    }
    const sizes: number[] = [];
    for (let group = queue.take(); group !== undefined; group = queue.take())
      sizes.push(group.parts.reduce((sum, { appends }) => sum + appends, 0));
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      total,
    );
    assert.ok(
      sizes.every((size) => size <= 2048),
      `${logs} logs: ${sizes.join()}`,
    );
    assert.ok(sizes.length <= 5, "and is not much smaller");
  }
});

test("appends that fail are told in turns: in order, and no later append comes before them", () => {
  const turns: (() => void)[] = [];
  const queue = new AppendQueue(
    { bytesMax: 1e9, appendsMax: 4_000 },
    { soon: (work) => turns.push(work), monotonicMs: () => 0 },
  );
  const count = 3_000;
  const told: number[] = [];
  const expected: number[] = [];
  for (let at = 0; at < count; at++) {
    const logId = 1 + Math.floor(at / 1_000);
    const { group } = queue.add({ ...named(logId, at, "a"), owner: { log: `log ${at}`, subject: `${at}` } });
    const reject = (fault: Fault): number => told.push(fault.kind === "unavailable" ? at : -1);
    group.wait({
      ...{ place: at, count: 1, duplicate: false, deadlineMs: undefined, logId, resolve: () => {}, reject },
    });
    expected.push(at);
  }
  queue.fail(new Fault("unavailable"));
  assert.deepEqual([queue.empty, queue.recordsOf(1)], [true, 0]);
  for (let before = 0; told.length > before; turns.shift()?.()) {
    assert.ok(told.length - before <= 512, `${told.length - before} were told in a turn`);
    before = told.length;
    if (before < count) assert.throws(() => queue.add(named(4, 0, "later")), isFault("unavailable"));
  }
  assert.deepEqual(told, expected);
  assert.equal(turns.length, 0);
  queue.add(named(4, 0, "later"));
});

test("appends that fail keep their room until they are told", () => {
  const turns: (() => void)[] = [];
  const queue = new AppendQueue(
    { bytesMax: 1e9, appendsMax: 10_000 },
    { soon: (work) => turns.push(work), monotonicMs: () => 0 },
  );
  const reserved = (): number => {
    for (let count = 0; ; count++) {
      try {
        queue.reserve(owner, 1);
      } catch {
        return count;
      }
    }
  };
  for (let at = 0; at < 2_000; at++) {
    const { group } = queue.add({ ...named(1, at, "a"), owner });
    group.onSettled(() => {});
  }
  queue.fail(new Fault("unavailable"));
  assert.equal(reserved(), 500);
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn();
  assert.equal(reserved(), 2_000);
});

test("a write group has a limited number of commands, of one log or of several", () => {
  for (const logs of [1, 1_000]) {
    const queue = new AppendQueue({ bytesMax: 1e9, appendsMax: 1e6 });
    for (let n = 0; n < 1_000; n++) {
      const target = { logId: 1 + (n % logs), baseOffset: 0 };
      queue.addCommand(batchKind.createLog, new Uint8Array(60), { log: "a", subject: undefined }, target);
    }
    const sizes: number[] = [];
    for (let group = queue.take(); group !== undefined; group = queue.take())
      sizes.push(group.parts.reduce((sum, { commands }) => sum + commands, 0));
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      1_000,
    );
    assert.ok(sizes.length <= 9 && sizes.every((size) => size <= 128), `${logs} logs: ${sizes.join()}`);
  }
});
