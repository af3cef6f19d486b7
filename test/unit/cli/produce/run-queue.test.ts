/** The queue of `produce`: what is sent when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RunBuilder } from "../../../../src/cli/produce/run-builder.ts";
import { RunQueue } from "../../../../src/cli/produce/run-queue.ts";
import { Fault } from "../../../../src/fault.ts";

interface Sent {
  readonly count: number;
  readonly done: () => void;
  readonly fail: (reason: unknown) => void;
}

/** A queue whose appends the test settles. */
function queueOf({ recordsMax = 4, bytesMax = 1000, wholeRun = 1 } = {}) {
  const sent: Sent[] = [];
  let failures = 0;
  const builder = new RunBuilder({ headers: [] }, { recordsMax, bytesMax });
  const queue = new RunQueue(
    builder,
    wholeRun,
    ({ count }) => new Promise((done, fail) => sent.push({ count, done, fail })),
    () => failures++,
  );
  const counts = (): number[] => sent.map(({ count }) => count);
  return { queue, sent, counts, failures: () => failures };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const value = Buffer.from("v");

test("a record is sent at once, and those that arrive meanwhile follow together", async () => {
  const { queue, sent, counts } = queueOf();
  assert.equal(queue.add(value), undefined);
  queue.start();
  assert.deepEqual(counts(), [1]);
  for (let record = 0; record < 3; record++) queue.add(value);
  queue.start();
  assert.deepEqual(counts(), [1], "one append is in flight");
  sent[0]!.done();
  await turn();
  assert.deepEqual(counts(), [1, 3]);
  sent[1]!.done();
  await queue.end(true);
  assert.deepEqual(counts(), [1, 3]);
});

test("a full run makes add() wait for the append in flight", async () => {
  const { queue, sent, counts } = queueOf({ recordsMax: 2 });
  queue.add(value);
  queue.add(value);
  assert.ok(queue.add(value) instanceof Promise, "the run is full, and is sent for its room");
  await turn();
  queue.add(value);
  let hasRoom = false;
  const waiting = queue.add(value)?.then(() => (hasRoom = true));
  await turn();
  assert.deepEqual([counts(), hasRoom], [[2], false]);
  sent[0]!.done();
  await waiting;
  assert.deepEqual(counts(), [2, 2]);
  const end = queue.end(true);
  sent[1]!.done();
  await turn();
  sent[2]!.done();
  await end;
  assert.deepEqual(counts(), [2, 2, 1]);
});

test("with a size, only whole runs are sent before the end", async () => {
  const { queue, sent, counts } = queueOf({ recordsMax: 3, wholeRun: 3 });
  queue.add(value);
  queue.start();
  assert.deepEqual(counts(), []);
  queue.add(value);
  queue.add(value);
  queue.start();
  assert.deepEqual(counts(), [3]);
  queue.add(value);
  sent[0]!.done();
  await turn();
  assert.deepEqual(counts(), [3]);
  const end = queue.end(true);
  sent[1]!.done();
  await end;
  assert.deepEqual(counts(), [3, 1]);
});

test("a batch that is too large for one run is refused, and nothing of it is sent", async () => {
  const { queue, counts } = queueOf({ recordsMax: 10, bytesMax: 100, wholeRun: 10 });
  queue.add(Buffer.alloc(60));
  await assert.rejects(async () => queue.add(Buffer.alloc(60)), { kind: "too-large" });
  await queue.end(false);
  assert.deepEqual(counts(), []);
});

test("a batch that becomes too large while another is in flight is refused after that one", {
  timeout: 10_000,
}, async () => {
  const { queue, sent, counts } = queueOf({ recordsMax: 3, bytesMax: 100, wholeRun: 3 });
  for (let record = 0; record < 3; record++) queue.add(value);
  queue.start();
  queue.add(Buffer.alloc(60));
  const waiting = Promise.resolve(queue.add(Buffer.alloc(60)));
  const refused = assert.rejects(waiting, { kind: "too-large" });
  sent[0]!.done();
  await refused;
  await queue.end(false);
  assert.deepEqual(counts(), [3]);
});

test("after a failure nothing more is sent, and everyone who waits learns of it", async () => {
  const { queue, sent, counts, failures } = queueOf({ recordsMax: 1 });
  queue.add(value);
  queue.start();
  queue.add(value);
  const waiting = Promise.resolve(queue.add(value));
  const fault = new Fault("disk-failed", { written: "unknown" });
  sent[0]!.fail(fault);
  await assert.rejects(waiting, fault);
  assert.throws(() => queue.add(value), fault);
  queue.start();
  await assert.rejects(queue.end(true), fault);
  assert.deepEqual([counts(), failures()], [[1], 1]);
});
