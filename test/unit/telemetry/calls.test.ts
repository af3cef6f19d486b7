/**
 * Log lines, metrics, rate limits and identifiers of calls.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import type { CallStart } from "../../../src/lib/telemetry.ts";
import { Calls } from "../../../src/telemetry/calls.ts";
import { type HistogramPoint, Instruments } from "../../../src/telemetry/instruments.ts";
import type { LogLevel } from "../../../src/telemetry/logger.ts";
import { logLines } from "../../support/log/log-lines.ts";
import { StillClock } from "../../support/log/logs.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const produce: CallStart = {
  method: "log.v1.Log/Produce",
  protocol: "grpc",
  subject: "root",
  peer: "127.0.0.1:5000",
};

/** Fails unless there is one. */
function histogramOf(point: { readonly value: number | HistogramPoint } | undefined): HistogramPoint {
  assert.ok(typeof point?.value === "object");
  return point.value;
}

function scene(level: LogLevel = "info") {
  const clock = new StillClock();
  const { log, lines } = logLines();
  const order: readonly LogLevel[] = ["debug", "info", "warn", "error"];
  const enabled = (asked: LogLevel): boolean => order.indexOf(asked) >= order.indexOf(level);
  const instruments = new Instruments();
  const calls = new Calls({
    log: { ...log, enabled },
    metrics: instruments,
    clock,
    idPrefix: "p",
    linesPerSecond: 3,
  });
  const metric = (name: string) => instruments.collect().find((snapshot) => snapshot.name === name);
  return { calls, lines, metric, pass: (ms: number) => clock.advance(ms) };
}

test("one log line describes a call and its result", () => {
  const { calls, lines, pass } = scene();
  const call = calls.begin({ ...produce, traceparent, requestId: "req-1" });
  call.tag("offset", 7);
  call.tag("subject", "impostor");
  pass(12.3456);
  call.end("ok", 100, 8);
  assert.deepEqual(lines, [
    {
      level: "info",
      message: "call",
      facts: {
        offset: 7,
        method: "log.v1.Log/Produce",
        protocol: "grpc",
        code: "ok",
        duration_ms: 12.346,
        subject: "root",
        peer: "127.0.0.1:5000",
        bytes_in: 100,
        bytes_out: 8,
        request_id: "req-1",
        trace_id: traceId,
      },
    },
  ]);
});

test("log lines of successful calls and of callers' failures are limited, and the rest are counted", () => {
  const { calls, lines, pass } = scene();
  for (const code of ["ok", "out_of_range"])
    for (let at = 0; at < 10; at++) calls.begin(produce).end(code, 1, 1);
  assert.deepEqual(
    lines.splice(0).map(({ facts }) => facts["code"]),
    ["ok", "ok", "ok", "out_of_range", "out_of_range", "out_of_range"],
  );
  for (const code of ["permission_denied", "resource_exhausted", "internal"])
    for (let at = 0; at < 10; at++) calls.begin(produce).end(code, 1, 1);
  assert.equal(lines.splice(0).length, 30, "denials, overload and failures of our own always are");
  calls.begin({ ...produce, method: "log.v1.Log/Trim" }).end("ok", 1, 1);
  assert.equal(lines.splice(0).length, 1, "another method has its own share");
  pass(1_000);
  calls.begin(produce).end("ok", 1, 1);
  calls.begin(produce).end("not_found", 1, 1);
  assert.deepEqual(
    lines.map(({ facts }) => facts["unlogged"]),
    [7, 7],
    "the next line tells of the silent ones",
  );
});

test("at level debug every call is logged", () => {
  const { calls, lines } = scene("debug");
  for (let at = 0; at < 10; at++) calls.begin(produce).end("ok", 1, 1);
  assert.deepEqual(lines.map(({ level }) => level).sort(), [
    ...Array(7).fill("debug"),
    ...Array(3).fill("info"),
  ]);
});

test("the level of a log line depends on which side failed", () => {
  const { calls, lines } = scene();
  for (const code of ["invalid_argument", "permission_denied", "internal"]) {
    calls.begin(produce).end(code, 0, 0, new Fault("unknown"));
  }
  assert.deepEqual(
    lines.map(({ level }) => level),
    ["info", "warn", "error"],
  );
  assert.ok(lines[2]?.facts["err"] instanceof Fault);
});

test("a canceled call is a debug line, and a redirect to the leader an info line", () => {
  const { calls, lines } = scene("debug");
  calls.begin(produce).end("canceled", 0, 0, new Fault("canceled"));
  calls.begin(produce).end("unavailable", 0, 0, new Fault("not-leader"));
  calls.begin(produce).end("unavailable", 0, 0, new Fault("unavailable"));
  assert.deepEqual(
    lines.map(({ level }) => level),
    ["debug", "info", "warn"],
  );
  const quiet = scene();
  for (let at = 0; at < 10; at++) quiet.calls.begin(produce).end("canceled", 0, 0, new Fault("canceled"));
  assert.equal(quiet.lines.length, 0);
  for (let at = 0; at < 10; at++)
    quiet.calls.begin(produce).end("unavailable", 0, 0, new Fault("not-leader"));
  assert.equal(quiet.lines.length, 3, "and of these so many a second");
});

test("a compressed message without an encoding is a mistake of the client, though its code is internal", () => {
  const { calls, lines } = scene();
  for (let at = 0; at < 10; at++)
    calls.begin(produce).end("internal", 0, 0, new Fault("unexpected-compression"));
  assert.ok(lines.every(({ level }) => level === "info"));
  assert.equal(lines.length, 3, "so many a second");
});

test("durations are recorded by method, system and status, named as in the conventions", () => {
  const { calls, metric, pass } = scene("silent");
  const one = (start: CallStart, code: string): void => {
    const call = calls.begin(start);
    pass(20);
    call.end(code, 100, 10);
  };
  one(produce, "ok");
  one(produce, "ok");
  one(produce, "permission_denied");
  one({ ...produce, protocol: "grpc-web" }, "unavailable");
  one({ ...produce, protocol: "connect" }, "permission_denied");
  one({ ...produce, protocol: "http", method: "POST /" }, "invalid_argument");
  const rpc = metric("rpc.server.call.duration");
  assert.equal(rpc?.unit, "s");
  const method = { "rpc.method": "log.v1.Log/Produce" };
  assert.deepEqual(
    rpc?.points.map(({ attributes, value }) => [attributes, histogramOf({ value }).count]),
    [
      [{ "rpc.system.name": "grpc", ...method, "rpc.status_code": "OK" }, 2],
      [{ "rpc.system.name": "grpc", ...method, "rpc.status_code": "PERMISSION_DENIED" }, 1],
      [
        {
          "rpc.system.name": "grpc",
          ...method,
          "rpc.status_code": "UNAVAILABLE",
          "error.type": "unavailable",
        },
        1,
      ],
      [{ "rpc.system.name": "connectrpc", ...method, "rpc.status_code": "permission_denied" }, 1],
    ],
  );
  assert.ok(Math.abs(histogramOf(rpc?.points[0]).sum - 0.04) < 1e-9);
  const http = metric("http.server.request.duration");
  assert.deepEqual(http?.points[0]?.attributes, {
    "http.request.method": "POST",
    "http.route": "/",
    "error.type": "invalid_argument",
  });
  assert.equal(metric("tailrace.calls.received")?.points[0]?.value, 300, "gRPC");
  assert.equal(metric("tailrace.calls.received")?.points[1]?.value, 100, "gRPC-Web");
  assert.equal(metric("tailrace.calls.sent")?.points[0]?.value, 30);
});

test("calls under way are a gauge, and a second end() has no effect", () => {
  const { calls, metric } = scene("silent");
  const call = calls.begin(produce);
  calls.begin(produce);
  assert.equal(metric("tailrace.calls.active")?.points[0]?.value, 2);
  call.end("ok", 1, 1);
  call.end("internal", 1, 1);
  assert.equal(metric("tailrace.calls.active")?.points[0]?.value, 1);
  assert.equal(metric("rpc.server.call.duration")?.points.length, 1);
});

test("a request id is the caller's if it is valid in a header, otherwise a new unique one", () => {
  const { calls } = scene();
  assert.equal(calls.begin({ ...produce, requestId: "abc-1" }).requestId, "abc-1");
  const made = [undefined, "", "a b", "x".repeat(200), "a\r\nb"].map(
    (requestId) => calls.begin({ ...produce, requestId }).requestId,
  );
  assert.equal(new Set(made).size, made.length);
  for (const id of made) assert.match(id, /^p-\w+$/);
  const call = calls.begin(produce);
  assert.equal(call.requestId, call.requestId);
});

test("a caller's valid trace context is passed on, an invalid one is not", () => {
  const { calls } = scene();
  assert.equal(calls.begin({ ...produce, traceparent }).traceparent, traceparent);
  assert.equal(calls.begin({ ...produce, traceparent: "nonsense" }).traceparent, undefined);
});

test("the number and length of tags are limited", () => {
  const { calls, lines } = scene();
  const call = calls.begin(produce);
  for (let at = 0; at < 100; at++) call.tag(`t${at}`, "x".repeat(1_000));
  call.end("ok", 0, 0);
  const tags = Object.entries(lines[0]?.facts ?? {}).filter(([name]) => /^t\d/.test(name));
  assert.equal(tags.length, 32);
  assert.ok(tags.every(([, value]) => String(value).length === 256));
});

test("methods from callers cannot create meters without limit", () => {
  const { calls, metric } = scene("silent");
  for (let at = 0; at < 1_000; at++) calls.begin({ ...produce, method: `made/Up${at}` }).end("ok", 0, 0);
  const points = metric("rpc.server.call.duration")?.points ?? [];
  assert.ok(points.length <= 257);
  const other = points.find(({ attributes }) => attributes["rpc.method"] === "_OTHER");
  assert.equal(histogramOf(other).count, 1_000 - 256);
});
