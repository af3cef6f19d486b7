import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../../src/fault.ts";
import { AppendQueue } from "../../../../../src/log/append/append-queue.ts";
import { chainStart } from "../../../../../src/log/mod.ts";
import { ProposedGroup } from "../../../../../src/replication/append/groups/proposed-group.ts";
import { run } from "../../../../support/log/logs.ts";
import { sealGroup } from "../../../../support/log/seal-group.ts";

/** A group of two appends, of which the second is a duplicate of the third record, and a barrier. */
function scene() {
  const queue = new AppendQueue({ bytesMax: 1000, appendsMax: 10 });
  const owner = { log: undefined, subject: "s" };
  const { group } = queue.add({ run: run("a", "b"), owner });
  queue.add({ run: run("c"), alone: true, owner });
  const outcomes: unknown[] = [];
  const waiter = {
    deadlineMs: undefined,
    logId: undefined,
    resolve: (one: unknown) => outcomes.push(one),
    reject: (one: Fault) => outcomes.push(one),
  };
  group.wait({ ...waiter, place: 0, count: 2, duplicate: false });
  group.wait({ ...waiter, place: 2, count: 1, duplicate: true });
  group.onSettled((fault) => outcomes.push(["barrier", fault]));
  const proposed = new ProposedGroup(queue.take()!, 3, (settled, fault) =>
    outcomes.push([settled === proposed, fault]),
  );
  const seal = (): void => {
    sealGroup(group.builder, { ...chainStart, index: 6, nextOffset: 40 }, 3, 77);
  };
  return { outcomes, proposed, seal };
}

test("the last index is infinite until the drafts are sealed, so that nothing applied reaches it", () => {
  const { proposed, seal } = scene();
  assert.equal(proposed.lastIndex, Number.POSITIVE_INFINITY);
  seal();
  assert.equal(proposed.frames.length, 2);
  assert.equal(proposed.lastIndex, 8);
});

test("an applied group gives each caller the offset of its own first record, then settles", () => {
  const { outcomes, proposed, seal } = scene();
  seal();
  proposed.applied();
  assert.deepEqual(outcomes, [
    { firstOffset: 40, count: 2, timestampMs: 77, duplicate: false },
    { firstOffset: 42, count: 1, timestampMs: 77, duplicate: true },
    ["barrier", undefined],
    [true, undefined],
  ]);
});

test("a failed group fails every caller with the same fault, then settles with it", () => {
  const { outcomes, proposed } = scene();
  const fault = new Fault("interrupted", { written: "unknown" });
  proposed.failed(fault);
  assert.deepEqual(outcomes, [fault, fault, ["barrier", fault], [true, fault]]);
});

test("an error that is no fault leaves the outcome unknown", () => {
  const { outcomes, proposed } = scene();
  proposed.failed(new TypeError("bug"));
  const { kind, written, unexpected } = outcomes[0] as Fault;
  assert.deepEqual([kind, written, unexpected], ["unknown", "unknown", true]);
});
