import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type FaultKind } from "../../../../src/fault.ts";
import { AppendQueue, appendResult } from "../../../../src/log/append/append-queue.ts";
import { batchKind, defaultSettings } from "../../../../src/log/mod.ts";
import { ProducerTable } from "../../../../src/log/state/producer-table.ts";
import type { ProducerStamp } from "../../../../src/types.ts";
import { run } from "../../../support/log/logs.ts";

const stamp = (sequence: number, epoch = 0): ProducerStamp => ({ subject: "s", id: 1n, epoch, sequence });
const isFault =
  (kind: FaultKind) =>
  (reason: unknown): boolean =>
    reason instanceof Fault && reason.kind === kind;

test("appends share a group until it is taken, and count as queued records", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const first = queue.add(run("a", "b"), undefined, false, undefined);
  const second = queue.add(run("c"), undefined, false, undefined);
  assert.equal(first.group, second.group);
  assert.deepEqual([first.place, second.place, queue.recordsOf(0)], [0, 2, 3]);
  assert.equal(queue.take(), first.group);
  assert.deepEqual([queue.empty, queue.recordsOf(0), queue.take()], [true, 0, undefined]);
  assert.notEqual(queue.add(run("d"), undefined, false, undefined).group, first.group);
});

test("a full queue refuses appends as overloaded, but an empty one takes any append", () => {
  const queue = new AppendQueue({ bytesMax: 10, appendsMax: 100 });
  queue.add(run("x".repeat(100)), undefined, false, undefined);
  assert.throws(() => queue.add(run("y"), undefined, false, undefined), isFault("overloaded"));
  queue.take();
  queue.add(run("y"), undefined, false, undefined);
  const few = new AppendQueue({ bytesMax: 1e6, appendsMax: 1 });
  few.addCommand(batchKind.noOp, new Uint8Array(0));
  assert.throws(() => few.add(run("y"), undefined, false, undefined), isFault("overloaded"));
});

test("a queued batch of a producer answers its duplicate, and fences older epochs", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const table = new ProducerTable();
  const check = (of: ProducerStamp, count: number) => queue.check(of, count, table, 0, defaultSettings, []);
  assert.deepEqual(check(stamp(0), 2), { append: true });
  queue.add(run("other"), undefined, false, undefined);
  const { group } = queue.add(run("a", "b"), stamp(0), false, undefined);
  assert.deepEqual(check(stamp(1), 1), { queued: group, place: 2 });
  assert.deepEqual(check(stamp(2), 1), { append: true });
  assert.throws(() => check(stamp(4), 1), isFault("out-of-sequence"));
  assert.deepEqual(check(stamp(0, 1), 1), { append: true });
  queue.add(run("c"), stamp(0, 1), false, undefined);
  assert.throws(() => check(stamp(2), 1), isFault("producer-fenced"));
});

test("groups that were taken and are not staged yet are checked too", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  queue.add(run("a"), stamp(0), false, undefined);
  const taken = queue.take()!;
  const verdict = queue.check(stamp(0), 1, new ProducerTable(), 0, defaultSettings, [taken]);
  assert.deepEqual(verdict, { queued: taken, place: 0 });
});

test("a failed queue rejects its appends and barriers, and is empty", () => {
  const queue = new AppendQueue({ bytesMax: 1e6, appendsMax: 100 });
  const { group, place } = queue.add(run("a"), undefined, false, undefined);
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
  group.waiters.push(waiter);
  group.barriers.push((fault) => seen.push(fault?.kind));
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
  const queue = new AppendQueue({ bytesMax: 40, appendsMax: 3 });
  const bytes = run("x".repeat(14)).bytes.length;
  const add = () => queue.add(run("x".repeat(14)), undefined, false, undefined);
  const release = [queue.reserve(bytes), queue.reserve(bytes)];
  assert.throws(() => queue.reserve(bytes), isFault("overloaded"));
  assert.throws(add, isFault("overloaded"));
  queue.fail(new Fault("unavailable"));
  assert.throws(add, isFault("overloaded"));
  for (const one of release) {
    one();
    add();
  }
  assert.throws(add, isFault("overloaded"));
});
