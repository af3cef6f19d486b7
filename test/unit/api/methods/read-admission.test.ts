import assert from "node:assert/strict";
import { test } from "node:test";
import {
  mayRead,
  ReadHold,
  reserveWhenReadable,
  waitToRead,
  whenReadable,
} from "../../../../src/api/methods/read-admission.ts";
import { encodeRun } from "../../../../src/log/mod.ts";
import { MemoryBudget } from "../../../../src/memory/memory-budget.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const limit = 2 ** 20;

function open() {
  const time = new VirtualTime();
  const clock = time.clock();
  const memory = new MemoryBudget({ limit, clock });
  /** The client accepts so many bytes now; drain() lets it accept some again. */
  const waiting: (() => void)[] = [];
  const sink = {
    writableBytes: 1000,
    whenWritable: (callback: () => void) => waiting.push(callback),
  };
  const drain = (): void => {
    sink.writableBytes = 1000;
    for (const callback of waiting.splice(0)) callback();
  };
  const controller = new AbortController();
  return { time, clock, memory, sink, drain, controller, signal: controller.signal };
}

const bytesOf = (bytes: number) => () => bytes;

test("nothing is read for a client that accepts no bytes", () => {
  const { sink, memory } = open();
  assert.equal(mayRead(sink, memory, bytesOf(100)), true);
  sink.writableBytes = 0;
  assert.equal(mayRead(sink, memory, bytesOf(0)), false);
});

test("while memory is short, a batch is read only if it can be sent at once or fits in the budget", () => {
  const { sink, memory } = open();
  const share = memory.share("in");
  share.hold((limit * 11) / 16);
  assert.equal(memory.short, true);
  assert.equal(mayRead(sink, memory, bytesOf(500)), true);
  assert.equal(mayRead(sink, memory, bytesOf(limit / 4)), false);
  share.hold(0);
  assert.equal(mayRead(sink, memory, bytesOf(limit / 4)), true);
});

test("a reader that waits for its client is called once when the client accepts bytes, unless it cancels", () => {
  const { sink, memory, drain } = open();
  sink.writableBytes = 0;
  let calls = 0;
  whenReadable(sink, memory, bytesOf(10), () => calls++);
  const cancel = whenReadable(sink, memory, bytesOf(10), () => assert.fail("it was canceled"));
  cancel();
  drain();
  drain();
  assert.equal(calls, 1);
});

test("a wait ends with the fault of an abort", async () => {
  const { sink, memory, clock, controller, signal } = open();
  sink.writableBytes = 0;
  const waiting = waitToRead({ sink, memory, clock, signal, nextBytes: bytesOf(10) });
  controller.abort();
  await assert.rejects(waiting, { kind: "canceled" });
});

test("a held slice counts until it was sent, or until the next one if the reader keeps it", async () => {
  const log = new MemoryLog();
  await log.append(encodeRun([{ value: new Uint8Array(100_000) }]));
  const slice = await log.read(0);
  for (const keeps of [false, true]) {
    const { memory } = open();
    const hold = new ReadHold(memory, { keeps, cut: () => undefined });
    hold.hold(slice);
    assert.ok(memory.bytes >= slice.frames.length);
    hold.rendered();
    assert.ok(memory.bytes >= slice.frames.length);
    hold.sent();
    assert.equal(memory.bytes >= slice.frames.length, keeps);
    hold.release();
    assert.equal(memory.bytes, 0);
  }
});

test("the copies of a slice become garbage once if its readers share the text, and once for each reader if not", () => {
  for (const [isShared, times] of [
    [true, 1],
    [false, 3],
  ] as const) {
    const { bytes: frames } = encodeRun([{ value: Buffer.alloc(1000) }]);
    const slice = { frames, firstOffset: 0, nextOffset: 1 };
    const noted: number[] = [];
    const { memory } = open();
    memory.addReadGarbage = (bytes) => void noted.push(bytes);
    for (let reader = 0; reader < 3; reader++) {
      using disposed = new DisposableStack();
      const hold = new ReadHold(memory, { keeps: false, cut: () => undefined, shares: () => isShared });
      disposed.defer(() => hold.release());
      hold.hold(slice);
    }
    assert.equal(noted.length, times);
  }
});

test("a response of one record is refused when all its waits for memory together took too long", async () => {
  const { sink, memory, clock, time, signal } = open();
  const others = memory.share("in");
  others.hold((limit * 3) / 4);
  using share = memory.share("out");
  const reserving = reserveWhenReadable({ sink, memory, clock, signal, share, waitMs: 1000 }, limit / 4);
  const refused = assert.rejects(reserving, { kind: "overloaded" });
  // Every 300 ms another request takes the space before this one does.
  let isOver = false;
  refused.finally(() => {
    isOver = true;
  });
  const compete = (): void => {
    others.hold(limit / 8);
    time.after(0, () => time.after(0, () => others.hold((limit * 3) / 4)));
    time.after(300, compete);
  };
  time.after(300, compete);
  const beginMs = clock.monotonicMs();
  while (!isOver) {
    // Every wake is taken by the competitor: promises run after it.
    const atMs = time.next;
    while (time.next === atMs && time.step());
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(clock.monotonicMs() - beginMs < 5_000, "it waits for ever");
  }
  await refused;
  assert.ok(clock.monotonicMs() - beginMs <= 1_300);
});

test("a response of one record counts once its client accepts bytes, as half of the budget at most", async () => {
  const { sink, memory, clock, drain, signal } = open();
  const share = memory.share("out");
  sink.writableBytes = 0;
  const reserved = reserveWhenReadable({ sink, memory, clock, signal, share }, 10 * limit);
  await new Promise(setImmediate);
  assert.equal(share.bytes, 0);
  drain();
  await reserved;
  assert.equal(share.bytes, limit / 2);
});
