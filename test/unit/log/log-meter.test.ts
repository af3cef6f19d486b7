/**
 * What the log tells of itself: every sync, every group, one span for a flush that serves traced appends, and its
 * size and place when somebody looks.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import type { Span, SpanOptions, Tracer } from "../../../src/lib/telemetry.ts";
import { SyncPolicy } from "../../../src/log/mod.ts";
import { type HistogramPoint, Instruments } from "../../../src/telemetry/instruments.ts";
import { run, type SimMachine, simMachine } from "../../support/logs.ts";

interface Told extends SpanOptions {
  readonly name: string;
  readonly set: Record<string, unknown>;
  error?: unknown;
  ended: boolean;
}

function listen({ clock }: SimMachine) {
  const spans: Told[] = [];
  const tracer: Tracer = {
    on: true,
    span(name, options = {}): Span {
      const told: Told = { name, ...options, set: {}, ended: false };
      spans.push(told);
      return {
        traceparent: options.parent,
        set: (key, value) => {
          told.set[key] = value;
        },
        end: (error) => {
          told.ended = true;
          told.error = error;
        },
      };
    },
  };
  const metrics = new Instruments();
  const shown = (name: string): number | HistogramPoint | undefined =>
    metrics.collect().find((one) => one.name === `tailrace.log.${name}`)?.points[0]?.value;
  const histogram = (name: string): HistogramPoint => shown(name) as HistogramPoint;
  return { telemetry: { tracer, metrics, clock }, spans, shown, histogram };
}

const traceparent = (n: number, flags = "01"): string =>
  `00-0af7651916cd43dd8448eb211c80319c-${n.toString(16).padStart(16, "0")}-${flags}`;

for (const inline of [true, false]) {
  test(`a group is counted once and has one span, ${inline ? "on the spot" : "off the event loop"}`, async () => {
    const machine = simMachine(1);
    const { telemetry, spans, histogram } = listen(machine);
    const log = await machine.open({}, { telemetry, syncPolicy: new SyncPolicy(inline) });
    const before = { syncs: histogram("sync.duration").count, on: machine.disk.counts.sync };
    await Promise.all([
      log.append(run("a")),
      log.append(run("b", "c"), { traceparent: traceparent(1, "00") }),
      log.append(run("d"), { traceparent: traceparent(2) }),
      log.append(run("e"), { traceparent: traceparent(3) }),
    ]);
    assert.equal(histogram("sync.duration").count - before.syncs, machine.disk.counts.sync - before.on);
    assert.deepEqual([histogram("group.records").count, histogram("group.records").sum], [1, 5]);
    const [span, ...more] = spans;
    assert.deepEqual(more, []);
    assert.deepEqual([span?.name, span?.parent, span?.links], ["fsync", traceparent(2), [traceparent(3)]]);
    assert.equal(span?.set["tailrace.group.records"], 5);
    assert.ok(span?.ended && span.error === undefined);
    await log.append(run("f"), { traceparent: traceparent(4, "00") });
    assert.equal(spans.length, 1, "what is not sampled has no span");
  });
}

test("so many appends are linked and no more", async () => {
  const machine = simMachine(2);
  const { telemetry, spans } = listen(machine);
  const log = await machine.open({}, { telemetry });
  await Promise.all(
    Array.from({ length: 500 }, (_, n) => log.append(run("x"), { traceparent: traceparent(n + 1) })),
  );
  assert.equal(spans[0]?.links?.length, 127);
});

test("a flush that fails ends its span with why", async () => {
  const machine = simMachine(3);
  const { telemetry, spans } = listen(machine);
  const log = await machine.open({}, { telemetry });
  machine.disk.faults.syncFails = 1;
  await assert.rejects(log.append(run("a"), { traceparent: traceparent(1) }));
  assert.ok(spans[0]?.ended && spans[0].error instanceof Fault);
  assert.equal((spans[0].error as Fault).kind, "disk-failed");
});

test("size, place and what recovery did are shown, also once the log is closed", async () => {
  const machine = simMachine(4);
  const { telemetry, shown } = listen(machine);
  const log = await machine.open({ segmentStoreBytesMax: 500 }, { telemetry });
  for (let n = 0; n < 10; n++) await log.append(run("x".repeat(100)));
  const { bytes, segments, next } = await log.describe();
  assert.deepEqual(
    [shown("size"), shown("segments"), shown("offset.next"), shown("offset.lowest")],
    [bytes, segments.length, next, 0],
  );
  assert.ok(segments.length > 1);
  assert.equal(typeof shown("disk.free"), "number");
  assert.equal(shown("recovery.cuts"), 0);
  await log.close();
  assert.equal(shown("size"), bytes);
});
