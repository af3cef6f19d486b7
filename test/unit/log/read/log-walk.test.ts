/**
 * The way back to the segments that hold a named log: how many files one turn of the event loop opens, and how many a read
 * opens once the way is known.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { heapMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { Ladders, type Rung } from "../../../../src/log/read/log-ladder.ts";
import type { NamedCommitLog } from "../../../../src/types.ts";
import { run, simMachine, valuesOf } from "../../../support/log/logs.ts";
import type { OneNodeLog } from "../../../support/log/one-node-log.ts";

/** Log indexes that were opened. */
interface Opened {
  sum: number;
  /** The most in one turn of the event loop. */
  inTurn: number;
}

interface LongLog {
  readonly log: OneNodeLog;
  readonly busy: NamedCommitLog;
  readonly rare: NamedCommitLog;
  /** The time of each record of the busy log. */
  readonly times: readonly number[];
  /** What `work` opens. */
  opened(work: () => Promise<unknown>): Promise<Opened>;
}

/** The busy log has a record in each of 100 segments or more, the rare one in the first and in a late one. */
async function openLong(): Promise<LongLog> {
  const machine = simMachine("walk");
  const { clock, disk } = machine;
  const opened: Opened = { sum: 0, inTurn: 0 };
  let ofTurn = 0;
  const { soon } = clock;
  clock.soon = (callback) =>
    soon(() => {
      ofTurn = 0;
      callback();
    });
  const open = heapMapper(disk);
  const mapper: typeof open = (path) => {
    if (path.endsWith(".logs")) {
      opened.sum++;
      opened.inTurn = Math.max(opened.inTurn, ++ofTurn);
    }
    return open(path);
  };
  const log = await machine.open(
    { segmentStoreBytesMax: 200 },
    { frameCacheBytesMax: 0, openFilesMax: 2, mapper },
  );
  for (const name of ["busy", "rare"]) await log.change({ kind: "create", name, settings: {} });
  const times: number[] = [];
  for (let n = 0; n < 300; n++) {
    clock.advance(10);
    if (n === 0 || n === 280) await log.append(run(`rare ${n}`), { log: { name: "rare" } });
    times.push((await log.append(run(`busy ${n}`), { log: { name: "busy" } })).timestampMs);
  }
  const holding = log.storedLog.sealed.filter(({ meta }) => meta.namedBatches !== undefined);
  assert.ok(holding.length >= 100, `${holding.length} segments`);
  const { named } = log.replica.log;
  const of = (name: string): NamedCommitLog => named.open({ name });
  return {
    ...{ log, busy: of("busy"), rare: of("rare"), times },
    async opened(work) {
      [ofTurn, opened.sum, opened.inTurn] = [0, 0, 0];
      await work();
      return { ...opened };
    },
  };
}

test("the first read far back opens few files in a turn: later reads open few at all", async () => {
  const { log, busy, opened } = await openLong();
  const first = await opened(async () => assert.equal(valuesOf(await busy.read(0), 0)[0], "busy 0"));
  assert.ok(first.sum >= 100 && first.inTurn <= 12, JSON.stringify(first));
  for (let offset = 0; offset < 300; offset += 7) {
    const later = await opened(async () =>
      assert.equal(valuesOf(await busy.read(offset), offset)[0], `busy ${offset}`),
    );
    assert.ok(later.sum <= 3, `offset ${offset}: ${JSON.stringify(later)}`);
  }
  await log.close();
});

test("a search for a time far back opens few files in a turn: it finds the record", async () => {
  const { log, busy, times, opened } = await openLong();
  const first = await opened(async () => assert.equal(await busy.seek({ fromTimeMs: times[3]! }), 3));
  assert.ok(first.sum >= 90 && first.inTurn <= 12, JSON.stringify(first));
  for (const n of [5, 120, 299]) {
    const later = await opened(async () => {
      assert.equal(await busy.seek({ fromTimeMs: times[n]! }), n);
      assert.equal(await busy.seek({ fromTimeMs: times[n]! + 1 }), n + 1);
    });
    assert.ok(later.sum <= 6, JSON.stringify(later));
  }
  await log.close();
});

test("a tail that begins far back opens few files in a turn, and goes on without walking again", async () => {
  const { log, busy, opened } = await openLong();
  const values: string[] = [];
  await busy.bounds();
  using tail = busy.follow(0);
  const first = await opened(async () => {
    await tail.prepare?.();
  });
  assert.ok(first.sum >= 100 && first.inTurn <= 8, JSON.stringify(first));
  while (tail.position < 300) {
    const next = await opened(async () => {
      await tail.prepare?.();
      values.push(...valuesOf(tail.take()!));
    });
    assert.ok(next.sum <= 3, `offset ${tail.position}: ${JSON.stringify(next)}`);
  }
  assert.deepEqual(
    values,
    Array.from({ length: 300 }, (_, n) => `busy ${n}`),
  );
  await log.close();
});

test("readers of one log share what they find, and a closed log ends their walks", async () => {
  const { log, busy, opened } = await openLong();
  const reads = await opened(() => Promise.all([0, 1, 2, 3, 4].map((offset) => busy.read(offset))));
  assert.ok(reads.sum <= 250, JSON.stringify(reads));
  const view = log.storedLog.view(1);
  log.storedLog.committed.ladders.clear();
  const prepared = view.prepare(0);
  assert.ok(prepared !== undefined);
  const closed = await opened(async () => {
    await log.close();
    await prepared;
  });
  assert.ok(closed.sum < 100, JSON.stringify(closed));
});

test("the walk of a tail that is disposed ends", async () => {
  const { log, busy, opened } = await openLong();
  const { walks } = log.storedLog.committed;
  await busy.bounds();
  const tails = [busy.follow(0), busy.follow(1), busy.follow(2)];
  const left = await opened(async () => {
    const prepared = tails.map((tail) => tail.prepare?.());
    assert.equal(walks.size, 3);
    for (const tail of tails) tail[Symbol.dispose]();
    assert.equal(walks.size, 0);
    await Promise.all(prepared);
  });
  assert.ok(left.sum < 20, JSON.stringify(left));
  await log.close();
});

test("the walk of a read that is aborted ends", async () => {
  const { log, busy, opened } = await openLong();
  const { walks } = log.storedLog.committed;
  const ended = new AbortController();
  const aborted = await opened(async () => {
    const { signal } = ended;
    const reads = [busy.read(0, { signal }), busy.seek({ fromTimeMs: 1 }, { signal })];
    const outcomes = Promise.allSettled(reads);
    for (let step = 0; step < 100 && walks.size < 2; step++) await Promise.resolve();
    assert.equal(walks.size, 2);
    ended.abort();
    for (const one of await outcomes) assert.equal(one.status === "rejected" && one.reason.kind, "canceled");
  });
  assert.ok(walks.size === 0 && aborted.sum < 60, JSON.stringify(aborted));
  await log.close();
});

test("a rare log opens only the segments that hold it", async () => {
  const { log, rare, opened } = await openLong();
  const read = await opened(async () => assert.equal(valuesOf(await rare.read(0), 0)[0], "rare 0"));
  assert.ok(read.sum <= 4, JSON.stringify(read));
  await log.close();
});

const rung = (n: number): Rung => ({ first: 10 * n, offset: n, previous: 10 * n - 10 });
const at = (offset: number) => (known: Pick<Rung, "offset">) => known.offset <= offset;

test("a ladder finds the last segment after an offset, in whatever order it learned them", () => {
  const ladders = new Ladders();
  assert.equal(ladders.above(1, at(5)), undefined);
  for (const n of [9, 3, 7, 5, 7, 1]) ladders.add(1, rung(n), 1);
  assert.equal(ladders.size, 5);
  assert.deepEqual(ladders.above(1, at(5)), rung(7));
  assert.deepEqual(ladders.above(1, at(4)), rung(5));
  assert.deepEqual(ladders.above(1, at(0)), rung(1));
  assert.equal(ladders.above(1, at(9)), undefined);
  assert.equal(ladders.above(2, at(0)), undefined);
});

test("ladders take limited memory: removed segments go first, then every second rung, then the oldest log", () => {
  const ladders = new Ladders(16, 40);
  for (let n = 100; n > 84; n--) ladders.add(1, rung(n), 1);
  assert.equal(ladders.size, 16);
  ladders.add(1, rung(84), rung(95).first);
  assert.equal(ladders.size, 6);
  for (let n = 1; n <= 200; n++) ladders.add(2, rung(n), 1);
  assert.ok(ladders.size <= 6 + 16, `${ladders.size}`);
  for (let id = 3; id < 20; id++) for (let n = 1; n <= 10; n++) ladders.add(id, rung(n), 1);
  assert.ok(ladders.size <= 40, `${ladders.size}`);
  assert.equal(ladders.above(1, at(0)), undefined);
  assert.deepEqual(ladders.above(19, at(9)), rung(10));
  ladders.clear();
  assert.equal(ladders.size, 0);
});
