/**
 * The telemetry of the log: every sync, every group, one span for a flush with traced appends, and gauges.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import type { Span, SpanOptions, Tracer } from "../../../src/lib/telemetry.ts";
import { type HistogramPoint, Instruments } from "../../../src/telemetry/instruments.ts";
import { FixedSyncPolicy } from "../../support/log/fixed-sync-policy.ts";
import { run, type SimMachine, simMachine } from "../../support/log/logs.ts";

interface RecordedSpan extends SpanOptions {
  readonly name: string;
  readonly set: Record<string, unknown>;
  error?: unknown;
  ended: boolean;
}

function recordTelemetry({ clock }: SimMachine) {
  const spans: RecordedSpan[] = [];
  const tracer: Tracer = {
    on: true,
    span(name, options = {}): Span {
      const span: RecordedSpan = { name, ...options, set: {}, ended: false };
      spans.push(span);
      return {
        traceparent: options.parent,
        set: (key, value) => {
          span.set[key] = value;
        },
        end: (error) => {
          span.ended = true;
          span.error = error;
        },
      };
    },
  };
  const metrics = new Instruments();
  const pointOf = (name: string): number | HistogramPoint | undefined =>
    metrics.collect().find((one) => one.name === `tailrace.log.${name}`)?.points[0]?.value;
  const histogram = (name: string): HistogramPoint => pointOf(name) as HistogramPoint;
  return { telemetry: { tracer, metrics, clock }, spans, pointOf, histogram };
}

const traceparent = (n: number, flags = "01"): string =>
  `00-0af7651916cd43dd8448eb211c80319c-${n.toString(16).padStart(16, "0")}-${flags}`;

for (const inline of [true, false]) {
  test(`a group is counted once and has one span, ${inline ? "on the event loop" : "off the event loop"}`, async () => {
    const machine = simMachine(1);
    const { telemetry, spans, histogram } = recordTelemetry(machine);
    const log = await machine.open({}, { telemetry, syncPolicy: new FixedSyncPolicy(inline) });
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

test("the number of linked appends is limited", async () => {
  const machine = simMachine(2);
  const { telemetry, spans } = recordTelemetry(machine);
  const log = await machine.open({}, { telemetry });
  await Promise.all(
    Array.from({ length: 500 }, (_, n) => log.append(run("x"), { traceparent: traceparent(n + 1) })),
  );
  assert.equal(spans[0]?.links?.length, 127);
});

test("a flush that fails ends its span with the reason", async () => {
  const machine = simMachine(3);
  const { telemetry, spans } = recordTelemetry(machine);
  const log = await machine.open({}, { telemetry });
  machine.disk.faults.syncFails = 1;
  await assert.rejects(log.append(run("a"), { traceparent: traceparent(1) }));
  assert.ok(spans[0]?.ended && spans[0].error instanceof Fault);
  assert.equal((spans[0].error as Fault).kind, "disk-failed");
});

test("size, extent and recovery are reported, also after the log is closed", async () => {
  const machine = simMachine(4);
  const { telemetry, pointOf } = recordTelemetry(machine);
  const log = await machine.open({ segmentStoreBytesMax: 500 }, { telemetry });
  for (let n = 0; n < 10; n++) await log.append(run("x".repeat(100)));
  const { bytes, segments, next } = await log.describe();
  assert.deepEqual(
    [pointOf("size"), pointOf("segments"), pointOf("offset.next"), pointOf("offset.lowest")],
    [bytes, segments.length, next, 0],
  );
  assert.ok(segments.length > 1);
  assert.equal(typeof pointOf("disk.free"), "number");
  assert.equal(pointOf("recovery.cuts"), 0);
  assert.deepEqual([pointOf("sync.inline"), pointOf("sync.changes")], [1, 0]);
  await log.close();
  assert.equal(pointOf("size"), bytes);
});
