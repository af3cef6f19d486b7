import assert from "node:assert/strict";
import { test } from "node:test";
import { readOne } from "../../../../src/api/methods/read-one.ts";
import { Fault } from "../../../../src/fault.ts";
import { encodeRun } from "../../../../src/log/mod.ts";
import { MemoryBudget } from "../../../../src/memory/memory-budget.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

test("a wait that ends without the record reports the end of the log at that time", async () => {
  const log = new MemoryLog();
  const time = new VirtualTime();
  const clock = time.clock();
  const append = () => log.append(encodeRun([{ value: new Uint8Array(1) }]), { subject: "ann" });
  await append();
  const plan = { start: { offset: 5 }, waitMs: 1000, freshness: {} };
  const memory = new MemoryBudget({ limit: 2 ** 20, clock });
  const sink = { writableBytes: 1, whenWritable: () => undefined };
  const options = { sink, memory, clock, signal: new AbortController().signal, share: memory.share("out") };
  const answer = readOne(log, plan, options);
  const ended = answer.then(
    () => "a record",
    (reason: unknown) => (reason instanceof Fault ? { kind: reason.kind, ...reason.facts } : reason),
  );
  await new Promise(setImmediate);
  await append();
  await append();
  assert.ok(time.step());
  assert.deepEqual(await ended, { kind: "out-of-range", offset: 5, lowest: 0, next: 3 });
});

test("a log that reads single records is asked for the record, and only its bytes count", async () => {
  const log = new MemoryLog();
  const clock = new VirtualTime().clock();
  await log.append(encodeRun([{ value: new Uint8Array(100_000) }, { value: Buffer.from("b") }]));
  const { bytes: frames } = encodeRun([{ value: Buffer.from("b") }]);
  const slice = { frames, firstOffset: 1, nextOffset: 2 };
  const memory = new MemoryBudget({ limit: 2 ** 20, clock });
  const share = memory.share("out");
  const single = Object.assign(log, {
    recordBytes: () => frames.length,
    readRecord: () => {
      assert.equal(share.bytes, frames.length);
      return Promise.resolve(slice);
    },
  });
  const sink = { writableBytes: 1, whenWritable: () => undefined };
  const options = { sink, memory, clock, signal: new AbortController().signal, share };
  const plan = { start: { offset: 1 }, waitMs: 0, freshness: {} };
  assert.deepEqual(await readOne(single, plan, options), { slice, offset: 1 });
});
