/**
 * The telemetry port without an exporter.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noTelemetry, secondsBoundaries } from "../../../src/lib/telemetry.ts";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("without an exporter nothing is recorded, and the trace of the caller is passed on", () => {
  const { log, metrics, tracer } = noTelemetry;
  log.child({ a: 1 }).info({}, "not recorded");
  metrics.counter("c", { description: "", unit: "" }).add(1);
  metrics.gauge("g", { description: "", unit: "" }, () => assert.fail("the gauge was read"))();
  assert.equal(tracer.span("work", { parent: traceparent }).traceparent, traceparent);
  assert.equal(tracer.span("work").traceparent, undefined);
  const start = { method: "a/b", protocol: "grpc", subject: "s", peer: "p" } as const;
  assert.equal(noTelemetry.begin({ ...start, traceparent }).traceparent, traceparent);
  noTelemetry.begin(start).end("ok", 0, 0);
});

test("the default boundaries ascend", () => {
  assert.deepEqual(
    [...secondsBoundaries].sort((a, b) => a - b),
    secondsBoundaries,
  );
});
