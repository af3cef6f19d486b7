import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { emptyConfState, message } from "../../../../src/raft/core/types.ts";
import type { Entry, Message, Snapshot } from "../../../../src/raft/mod.ts";
import { Writer } from "../../../../src/raft/node/writer.ts";
import { emptySnapshot } from "../../../support/disk/memory-log-storage.ts";
import { MemoryRaft } from "../../../support/raft/memory-raft.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";
import { entry } from "../raft-lab.ts";

/** A writer on a storage that needs `syncMs` for each sync. */
function open({ syncMs = 0, groupBytesMax = 100 } = {}) {
  const time = new VirtualTime();
  const storage = new MemoryRaft(time.clock(), emptyConfState);
  storage.syncMs = () => syncMs;
  const durable: number[] = [];
  const outcomes: unknown[] = [];
  const writer = new Writer(
    {
      storage,
      groupBytesMax,
      durable: (works) => durable.push(works.length),
      failed: (cause) => outcomes.push(cause),
      full: () => outcomes.push("full"),
    },
    { term: 1, vote: 0, commit: 0 },
  );
  const sync = async (): Promise<void> => {
    time.step();
    await new Promise(setImmediate);
  };
  return { storage, durable, outcomes, writer, sync };
}

const work = (entries: readonly Entry[], fields: Partial<Message> = {}): Message =>
  message("storage-append", 0, { entries, ...fields });
const sized = (index: number, bytes: number): Entry => entry(1, index, "x".repeat(bytes));

test("the works that arrive during a sync become one group", async () => {
  const { storage, durable, writer, sync } = open({ syncMs: 10 });
  for (const index of [1, 2, 3]) {
    writer.push(work([sized(index, 1)]));
    writer.run();
  }
  assert.deepEqual([durable, writer.idle], [[], false]);
  await sync();
  await sync();
  assert.deepEqual([durable, writer.idle], [[1, 2], true]);
  assert.deepEqual(
    storage.writes.map(({ entries }) => entries.length),
    [1, 2],
  );
});

test("a group has the largest number of bytes at most, a larger work goes alone, a snapshot begins a group", () => {
  const { storage, writer } = open({ groupBytesMax: 10 });
  const snapshot: Snapshot = { ...emptySnapshot, index: 5, term: 1 };
  const works = [work([sized(1, 6)]), work([sized(2, 4)]), work([sized(3, 30)]), work([], { snapshot })];
  for (const one of [...works, work([sized(6, 1)])]) writer.push(one);
  writer.run();
  assert.deepEqual(
    storage.writes.map(({ entries, snapshot }) => [entries.length, snapshot?.index]),
    [
      [2, undefined],
      [1, undefined],
      [1, 5],
    ],
  );
});

test("a later work of a group replaces entries of an earlier one", () => {
  const { storage, writer } = open();
  writer.push(work([entry(1, 1), entry(1, 2), entry(1, 3)]));
  writer.push(work([entry(2, 2, "new")]));
  writer.run();
  assert.deepEqual(
    storage.writes.map(({ entries }) => entries.map(({ term, index }) => [term, index])),
    [
      [
        [1, 1],
        [2, 2],
      ],
    ],
  );
});

test("term, vote and entries are synced, a commit index alone is not", () => {
  const { storage, writer } = open();
  for (const fields of [
    { term: 1, vote: 0, commit: 3 },
    { term: 1, vote: 2, commit: 3 },
    { term: 2, vote: 2, commit: 3 },
  ]) {
    writer.push(work([], fields));
    writer.run();
  }
  assert.deepEqual(
    storage.writes.map(({ sync }) => sync),
    [false, true, true],
  );
});

test("the commit index that is written with entries does not count them: a crash could take them back", () => {
  const { storage, writer } = open();
  writer.push(
    work(
      [sized(4, 1), sized(5, 1)].map((one, at) => ({ ...one, index: at + 1 })),
      { term: 1, commit: 2 },
    ),
  );
  writer.run();
  assert.equal(storage.writes[0]?.hardState?.commit, 0);
});

test("a write that the full disk refuses is repeated, with its term and vote, when the owner asks for it", () => {
  const { storage, durable, outcomes, writer } = open();
  storage.beforeWrite = () => {
    throw new Fault("disk-full");
  };
  writer.push(work([], { term: 2, vote: 3 }));
  writer.run();
  writer.run();
  assert.deepEqual([outcomes, writer.full, durable], [["full"], true, []]);
  storage.beforeWrite = () => undefined;
  writer.retry();
  assert.deepEqual([writer.full, durable], [false, [1]]);
  assert.deepEqual(
    storage.writes.map(({ sync, hardState }) => [sync, hardState?.vote]),
    [[true, 3]],
  );
});

test("after any other failure nothing more is written", async () => {
  const { storage, outcomes, durable, writer } = open();
  const failure = new Fault("disk-failed");
  storage.write = () => Promise.reject(failure);
  writer.push(work([sized(1, 1)]));
  writer.push(work([sized(2, 1)]));
  writer.run();
  await new Promise(setImmediate);
  storage.write = () => assert.fail("a second write");
  writer.push(work([sized(2, 1)]));
  writer.run();
  assert.deepEqual([outcomes, durable], [[failure], []]);
});

test("a stopped writer waits for the write under way, and does not report it", async () => {
  const { durable, writer, sync } = open({ syncMs: 10 });
  writer.push(work([sized(1, 1)]));
  writer.run();
  let isOver = false;
  const over = writer.stop().then(() => {
    isOver = true;
  });
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  await sync();
  await over;
  assert.deepEqual(durable, []);
});
