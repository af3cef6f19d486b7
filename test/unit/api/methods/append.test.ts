import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallMeta } from "../../../../src/api/calls/call-tracker.ts";
import { Traffic } from "../../../../src/api/calls/traffic.ts";
import { type AppendContext, appendFor, appendOptionsOf } from "../../../../src/api/methods/append.ts";
import { Fault } from "../../../../src/fault.ts";
import { noTracer, type Span } from "../../../../src/lib/telemetry.ts";
import { defaultRecordLimits } from "../../../../src/log/frame/record-walk.ts";
import { encodeRun, withHeader } from "../../../../src/log/mod.ts";
import { run } from "../../../support/log/logs.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";
import { handlerCall } from "../handler-call.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const one = run("a");

function open(meta: Partial<CallMeta> = {}, changed: Partial<AppendContext> = {}) {
  const log = new MemoryLog();
  const traffic = new Traffic();
  const clock = new VirtualTime().clock();
  const limits = { recordLimits: defaultRecordLimits, requestBytesMax: 1_000 };
  const context: AppendContext = { log, clock, traffic, tracer: noTracer, ...limits, ...changed };
  const { call } = handlerCall(meta);
  const append = (appended = one, signal?: AbortSignal) =>
    appendFor(context, call, { run: appended }, true, signal);
  return { log, traffic, call, append };
}

test("the log gets the options that the call and the request have, and no others", () => {
  const { call } = handlerCall();
  assert.deepEqual(appendOptionsOf(call, {}, true), { subject: "ann" });
  const producer = { subject: "ann", id: 1n, epoch: 0, sequence: 3 };
  const timed = handlerCall({ deadlineMs: 5, traceparent }).call;
  timed.order = { ended: false };
  assert.deepEqual(appendOptionsOf(timed, { producer, expectedOffset: 0 }, false), {
    ...{ subject: "ann", producer, expectedOffset: 0, deadlineMs: 5, traceparent },
    ...{ order: timed.order, forward: false },
  });
});

test("an empty run is refused before anything is started, synchronously", () => {
  const { log, append } = open();
  assert.throws(() => append(encodeRun([])), { kind: "bad-request" });
  assert.equal(log.appendCalls.length, 0);
});

test("an append is counted, a duplicate and a failed one are not, but their bytes came in", async () => {
  const { log, traffic, call, append } = open();
  await append();
  log.append = async () => ({ firstOffset: 0, count: 1, timestampMs: 1, duplicate: true });
  await append();
  log.append = () => Promise.reject(new Fault("disk-full"));
  await assert.rejects(append(), { kind: "disk-full" });
  assert.deepEqual([traffic.recordsIn, traffic.bytesIn], [1, one.bytes.length]);
  assert.equal(call.bytesIn, 3 * one.bytes.length);
});

test("an abort leaves the outcome unknown, because the append goes on", async () => {
  const { log, append } = open();
  const gate = Promise.withResolvers<void>();
  log.gate = gate.promise;
  const controller = new AbortController();
  const work = append(one, controller.signal);
  controller.abort();
  await assert.rejects(work, { kind: "canceled", written: "unknown" });
  gate.resolve();
});

test("the records carry the trace if the call asks for it and they have room for it", async () => {
  const stored = async (meta: Partial<CallMeta>, requestBytesMax: number): Promise<Buffer> => {
    const { log, append } = open(meta, { requestBytesMax });
    await append();
    return Buffer.from(log.appendCalls[0]?.run.bytes ?? []);
  };
  const [plain, traced] = [one, withHeader(one, "traceparent", traceparent, 1_000, 1_000)].map(({ bytes }) =>
    Buffer.from(bytes),
  );
  const asked = { traceparent, traceRecords: true };
  assert.deepEqual(await stored(asked, 1_000), traced);
  assert.deepEqual(await stored(asked, 100), plain, "the request that forwards it would be too large");
  assert.deepEqual(await stored({ traceparent }, 1_000), plain);
  assert.deepEqual(await stored({ traceRecords: true }, 1_000), plain);
});

test("a traced append ends its span with its offset, or with its fault", async () => {
  const ends: unknown[] = [];
  const span: Span = {
    traceparent,
    set: (name, value) => ends.push([name, value]),
    end: (error) => ends.push(error),
  };
  const { log, append } = open({}, { tracer: { on: true, span: () => span } });
  await append();
  assert.equal(log.appendCalls[0]?.options.traceparent, traceparent);
  const fault = new Fault("overloaded");
  log.failNext = fault;
  await assert.rejects(append(), fault);
  assert.deepEqual(ends, [["tailrace.offset", 0], undefined, fault]);
});
