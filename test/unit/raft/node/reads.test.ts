import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import { firstContext, type ReadQueueLimits, Reads } from "../../../../src/raft/node/reads.ts";

function open(limits: Partial<ReadQueueLimits> = {}) {
  const reads = new Reads({ waitingMax: 10, retryTicks: 5, timeoutTicks: 40, ...limits }, 100);
  const outcomes: string[] = [];
  const asked: number[] = [];
  const add = (name: string): boolean =>
    reads.add({
      ready: (index) => outcomes.push(`${name} at ${index}`),
      failed: ({ message }) => outcomes.push(`${name}: ${message}`),
    });
  const ask = (now: number, all = false): void => reads.ask(now, all, (context) => asked.push(context));
  return { reads, outcomes, asked, add, ask };
}

test("the callers of one turn share one question", () => {
  const { reads, outcomes, asked, add, ask } = open();
  add("a");
  add("b");
  ask(0);
  ask(0);
  assert.deepEqual([asked, reads.waiting], [[101], 2]);
  reads.answered({ context: 101, index: 7 }, 9);
  assert.deepEqual([outcomes, reads.waiting], [["a at 9", "b at 9"], 0]);
});

test("a read is not answered by a question that is older than itself", () => {
  const { reads, outcomes, asked, add, ask } = open();
  add("a");
  ask(0);
  add("b");
  reads.answered({ context: 101, index: 7 }, 7);
  assert.deepEqual(outcomes, ["a at 7"]);
  ask(0);
  reads.answered({ context: asked[1] as number, index: 7 }, 7);
  assert.deepEqual(outcomes, ["a at 7", "b at 7"]);
});

test("an answered read waits until its index is applied, in the order of the indexes", () => {
  const { reads, outcomes, asked, add, ask } = open();
  for (const name of ["a", "b", "c"]) {
    add(name);
    ask(0);
  }
  for (const [at, index] of [8, 6, 7].entries()) reads.answered({ context: asked[at] as number, index }, 5);
  reads.appliedTo(5);
  assert.deepEqual(outcomes, []);
  reads.appliedTo(7);
  assert.deepEqual(outcomes, ["b at 7", "c at 7"]);
  reads.appliedTo(8);
  assert.deepEqual(outcomes, ["b at 7", "c at 7", "a at 8"]);
});

test("an unanswered question is repeated with a new context, and the old answer is of no use", () => {
  const { reads, outcomes, asked, add, ask } = open();
  add("a");
  ask(0);
  ask(4);
  ask(5);
  assert.deepEqual(asked, [101, 102]);
  reads.answered({ context: 101, index: 1 }, 1);
  assert.deepEqual(outcomes, []);
  ask(6, true);
  reads.answered({ context: 103, index: 1 }, 1);
  assert.deepEqual(outcomes, ["a at 1"]);
});

test("a question that is never answered fails after its time, however often it was repeated", () => {
  const { reads, outcomes, add, ask } = open();
  add("a");
  for (let now = 0; now < 40; now++) {
    ask(now);
    reads.expire(now);
  }
  assert.deepEqual(outcomes, []);
  reads.expire(40);
  assert.deepEqual([outcomes, reads.waiting], [["a: no leader could confirm the read"], 0]);
});

test("callers beyond the limit are refused, until others are answered", () => {
  const { reads, asked, add, ask } = open({ waitingMax: 2 });
  assert.deepEqual([add("a"), add("b"), add("c")], [true, true, false]);
  ask(0);
  assert.equal(add("d"), false);
  reads.answered({ context: asked[0] as number, index: 1 }, 1);
  assert.equal(add("e"), true);
});

test("a node that stops fails every caller, in each state", () => {
  const { reads, outcomes, asked, add, ask } = open();
  add("confirmed");
  ask(0);
  add("asked");
  ask(0);
  add("fresh");
  reads.answered({ context: asked[0] as number, index: 9 }, 1);
  reads.abandon();
  assert.deepEqual(outcomes.map((text) => text.split(":")[0]).sort(), ["asked", "confirmed", "fresh"]);
  assert.equal(reads.waiting, 0);
});

test("two runs of a node begin their contexts far apart, and stay within the safe integers", () => {
  const random = prng("contexts");
  const contexts = Array.from({ length: 100 }, () => firstContext(random));
  const gap = (a: number, b: number): number => Math.abs(a - b);
  for (const [at, one] of contexts.entries()) {
    assert.ok(Number.isSafeInteger(one + 2 ** 20) && one > 0);
    assert.ok(contexts.slice(at + 1).every((other) => gap(one, other) >= 2 ** 20));
  }
});
