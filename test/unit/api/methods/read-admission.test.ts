import assert from "node:assert/strict";
import { test } from "node:test";
import { mayRead, ReadHold, waitToRead, whenReadable } from "../../../../src/api/methods/read-admission.ts";
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
