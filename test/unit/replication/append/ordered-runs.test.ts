import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type OrderedGroup,
  OrderedRuns,
  type QueuedRun,
} from "../../../../src/replication/append/ordered-runs.ts";
import type { AppendOptions } from "../../../../src/types.ts";

const limits = { groupsMax: 3, bytesMax: 100, joinedBytesMax: 20, joinedRecordsMax: 4 };
const numbered: AppendOptions = { producer: { subject: "s", id: 1n, epoch: 0, sequence: 0 } };

interface Named extends QueuedRun {
  readonly name: string;
}

function named(name: string, options: AppendOptions = numbered, bytes = 1): Named {
  const run = { bytes: new Uint8Array(bytes), count: 1 };
  return { name, run, options, overtaken: false, settled: false };
}

function filled(...runs: readonly Named[]): OrderedRuns<Named> {
  const order = new OrderedRuns<Named>(limits);
  for (const run of runs) order.add(run);
  return order;
}

const namesOf = (group: OrderedGroup<Named> | undefined): string =>
  (group?.runs ?? []).map(({ name }) => name).join("");

describe("the runs of one stream", () => {
  test("are sent in order, several at once to one target, up to a limit", () => {
    const order = filled(...["a", "b", "c", "d"].map((name) => named(name)));
    assert.equal(namesOf(order.takeNext("one")), "a");
    assert.equal(order.takeNext("two"), undefined);
    assert.equal(namesOf(order.takeNext("one")), "b");
    assert.equal(namesOf(order.takeNext("one")), "c");
    assert.equal(order.takeNext("one"), undefined);
  });

  test("are joined if they have no condition and the same options, up to a size", () => {
    const plain = (name: string, bytes = 1): Named => named(name, {}, bytes);
    const order = filled(plain("a"), plain("b"), plain("c", 19), named("d"), plain("e"), plain("f"));
    assert.equal(namesOf(order.takeNext("one")), "ab");
    assert.equal(namesOf(order.takeNext("one")), "c");
    assert.equal(namesOf(order.takeNext("one")), "d");
    const streams = filled(named("a", { stream: {} }), named("b", { stream: {} }));
    assert.equal(namesOf(streams.takeNext("one")), "a");
    const traced = filled(plain("a"), named("b", { traceparent: "t" }));
    assert.equal(namesOf(traced.takeNext("one")), "a");
  });

  test("wait after a failure until all groups in flight complete, then the first is sent alone", () => {
    const order = filled(...["a", "b", "c", "d"].map((name) => named(name)));
    const [a, b] = [order.takeNext("one")!, order.takeNext("one")!];
    order.failed(a);
    assert.equal(order.takeNext("one"), undefined);
    assert.equal(order.takeNext("two"), undefined);
    order.failed(b);
    const retried = order.takeNext("two")!;
    assert.equal(namesOf(retried), "a");
    assert.equal(order.takeNext("two"), undefined);
    order.written(retried);
    assert.equal(namesOf(order.takeNext("two")), "b");
    assert.equal(namesOf(order.takeNext("two")), "c");
  });

  test("are overtaken if a later one was written before one that was refused", () => {
    const order = filled(named("a"), named("b"), named("c"));
    const [a, b] = [order.takeNext("one")!, order.takeNext("one")!];
    order.failed(a);
    order.written(b);
    assert.equal(order.first?.name, "a");
    assert.equal(order.first.overtaken, true);
    assert.deepEqual(
      order.takeWaiting().map(({ name }) => name),
      ["a", "c"],
    );
  });

  test("are not overtaken by one for another log", () => {
    const order = filled(named("a", { ...numbered, log: { name: "x" } }), named("b"), named("c"));
    const [a, b] = [order.takeNext("one")!, order.takeNext("one")!];
    order.failed(a);
    order.written(b);
    assert.equal(order.first?.overtaken, false);
    assert.equal(namesOf(order.takeNext("two")), "a");
  });

  test("that were settled otherwise are skipped when the rest is sent again", () => {
    const [a, b, c] = [named("a"), named("b"), named("c")];
    const order = filled(a, b, c);
    const groups = [order.takeNext("one")!, order.takeNext("one")!, order.takeNext("one")!];
    order.settle(a);
    for (const group of groups) order.failed(group);
    assert.equal(a.overtaken || b.overtaken, false);
    const retried = order.takeNext("two")!;
    assert.equal(namesOf(retried), "b");
    order.written(retried);
    assert.equal(namesOf(order.takeNext("two")), "c");
    assert.equal(order.size, 1);
  });

  test("that are in flight are not taken", () => {
    const order = filled(named("a"), named("b"));
    const a = order.takeNext("one")!;
    assert.deepEqual(
      order.takeWaiting().map(({ name }) => name),
      ["b"],
    );
    order.written(a);
    assert.equal(order.size, 0);
  });
});
