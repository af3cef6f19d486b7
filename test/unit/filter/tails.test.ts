/** Tails with a filter, with a clock that moves with each look at it: every take() ends after a few records. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileFilter, FilteredLogsTail, FilteredTail } from "../../../src/filter/mod.ts";
import type { Clock } from "../../../src/lib/time/clock.ts";
import { encodeRun, RecordCursor } from "../../../src/log/mod.ts";
import type { BatchSlice, MultiTail, TailedBatches } from "../../../src/types.ts";
import { MemoryLog } from "../../support/log/memory-log.ts";

const ticking = (): Clock => {
  let nowMs = 0;
  return { monotonicMs: () => ++nowMs } as unknown as Clock;
};
const log = async (count: number): Promise<MemoryLog> => {
  const memory = new MemoryLog();
  for (let from = 0; from < count; from += 10)
    await memory.append(
      encodeRun(Array.from({ length: 10 }, (_, at) => ({ value: Buffer.from(`${from + at}`) }))),
    );
  return memory;
};
const filter = compileFilter('text.endsWith("7") || text == "30"');
const isWanted = (offset: number): boolean => offset % 10 === 7 || offset === 30;
const wanted = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at).filter(isWanted);
const shown = (slice: BatchSlice, from = 0): number[] => {
  const cursor = new RecordCursor(slice.frames, from, slice.kept);
  const found: number[] = [];
  while (cursor.next()) found.push(cursor.offset);
  return found;
};

test("what was found and the position agree after every take", async () => {
  const memory = await log(200);
  const tail = new FilteredTail({ tail: memory.follow(3), filter, clock: ticking() });
  const found: number[] = [];
  let takes = 0;
  for (let slice = tail.take(); slice !== undefined; slice = tail.take(), takes++) {
    assert.deepEqual(shown(slice, 3), slice.kept);
    found.push(...shown(slice, 3));
    assert.equal(slice.nextOffset, tail.position);
    assert.deepEqual(found, wanted(3, tail.position), `up to ${tail.position}`);
  }
  assert.equal(tail.position, 200);
  assert.ok(takes > 20, `${takes} takes`);
  tail[Symbol.dispose]();
  assert.equal(memory.openTails, 0);
});

test("a condition on bytes looks at the clock after a few records that have many headers", async () => {
  const takes = async (headerCount: number): Promise<number> => {
    const headers = Array.from({ length: headerCount }, () => ({ key: "a", value: new Uint8Array() }));
    const memory = new MemoryLog();
    await memory.append(encodeRun(Array.from({ length: 20 }, () => ({ headers }))));
    const onBytes = compileFilter('"b" in headers || "c" in headers');
    const tail = new FilteredTail({ tail: memory.follow(0), filter: onBytes, clock: ticking() });
    let count = 0;
    while (tail.position < 20) {
      tail.take();
      count++;
    }
    return count;
  };
  assert.equal(await takes(1), 1);
  assert.ok((await takes(1_024)) >= 2);
});

test("a tail ends at its end offset, and after enough records", async () => {
  const memory = await log(100);
  const read = (limits: { readonly endOffset?: number; readonly recordsMax?: number }, position: number) => {
    const tail = new FilteredTail({ tail: memory.follow(0), filter, clock: ticking(), ...limits });
    const found: number[] = [];
    while (tail.position < position) found.push(...shown(tail.take()!));
    assert.equal(tail.position, position);
    return found;
  };
  assert.deepEqual(read({ endOffset: 18 }, 18), [7, 17]);
  assert.deepEqual(read({ recordsMax: 2 }, 18), [7, 17]);
  assert.deepEqual(read({ recordsMax: 4 }, 31), [7, 17, 27, 30]);
});

test("a tail that has used its time is suspended, and another one goes on at its position", async () => {
  const memory = await log(100);
  const found: number[] = [];
  let requests = 0;
  for (let from = 0; from < 100; requests++) {
    const tail = new FilteredTail({ tail: memory.follow(from), filter, clock: ticking(), msMax: 6 });
    while (!tail.isSuspended && tail.position < 100) found.push(...shown(tail.take()!, from));
    assert.ok(tail.position > from);
    assert.equal(tail.isSuspended, tail.position < 100);
    if (tail.isSuspended) assert.equal(tail.take(), undefined);
    from = tail.position;
  }
  assert.deepEqual(found, wanted(0, 100));
  assert.ok(requests > 5);
});

test("an evaluation that costs too much is counted", async () => {
  const memory = new MemoryLog();
  const large = JSON.stringify(Array.from({ length: 20_000 }, (_, at) => at));
  await memory.append(encodeRun(["[1]", large, "[1]"].map((value) => ({ value: Buffer.from(value) }))));
  const costly = compileFilter("json.all(x, json.exists(y, y == x))");
  const tail = new FilteredTail({ tail: memory.follow(0), filter: costly, clock: ticking() });
  const found: number[] = [];
  for (let slice = tail.take(); slice !== undefined; slice = tail.take()) found.push(...shown(slice));
  assert.deepEqual(found, [0, 2]);
  assert.equal(tail.skipped, 1);
});

test("a tail of several logs resumes before the batches that it is evaluating", async () => {
  const memory = await log(40);
  using source = memory.follow(0);
  const batches: TailedBatches[] = [];
  for (let slice = source.take(1); slice !== undefined; slice = source.take(1))
    batches.push({ log: { id: 1, name: "a" }, slice, index: batches.length + 1, from: slice.firstOffset });
  let taken = 0;
  const several = {
    life: 1,
    get position() {
      return { index: taken + 1, sent: 0 };
    },
    end: batches.length,
    take: () => (taken < batches.length ? batches[taken++] : undefined),
    nextBytes: () => 0,
    [Symbol.dispose]: () => undefined,
  } as unknown as MultiTail;
  const tail = new FilteredLogsTail({ tail: several, filter, clock: ticking() });
  const found: number[] = [];
  let waits = 0;
  for (let next = tail.take(); next !== undefined; next = tail.take()) {
    if (next === "later") waits++;
    else if ("slice" in next) found.push(...shown(next.slice, next.from));
    // A reader that resumes here gets everything that was not returned.
    const { index } = tail.position;
    const from = batches[index - 1]?.slice.firstOffset ?? 40;
    assert.deepEqual(found, wanted(0, from));
  }
  assert.deepEqual(found, wanted(0, 40));
  assert.ok(waits > 0);
});
