/** What the calls of real clients leave behind: spans in the trace of the client, one log line each, and metrics. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { Writable } from "node:stream";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createFastPath } from "../../../src/api/mod.ts";
import { traceparentOf } from "../../../src/client/mod.ts";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { systemClock } from "../../../src/lib/time/clock.ts";
import { OpsServer } from "../../../src/server/ops/ops-server.ts";
import { openTelemetry } from "../../../src/telemetry/mod.ts";
import { serve } from "../../support/http/serve.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";
import { openCollector } from "../../support/telemetry/otlp-collector.ts";

function sink() {
  let text = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const lines = () =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { destination, text: () => text, lines };
}

const buf = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));

/** Returns the exit status. The server runs in this process, so this must not block. */
const run = (program: string, args: readonly string[]): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(program, args, { stdio: "ignore", timeout: 30_000 });
    child.on("close", (code) => resolve(code ?? 1));
  });

const traceOf = (n: number): string => `0af7651916cd43dd8448eb211c8031${n.toString(16).padStart(2, "0")}`;
const callersSpan = "b7ad6b7169203331";
const headers = (n: number) => ({
  traceparent: `00-${traceOf(n)}-${callersSpan}-01`,
  "x-request-id": `req-${n}`,
});
const record = { value: new TextEncoder().encode("top secret") };

test(
  "every protocol continues the client's trace and logs one line without the record",
  requireProgram("curl"),
  async () => {
    await using collector = await openCollector();
    const { destination, lines, text } = sink();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
    Object.assign(process.env, env);
    {
      await using telemetry = await openTelemetry({ version: "1", env, destination, format: "json" });
      await using served = await serve({ telemetry });
      const grpc = createClient(Log, createGrpcTransport({ baseUrl: served.url }));
      const web = createClient(Log, createGrpcWebTransport({ baseUrl: served.url, httpVersion: "1.1" }));
      await grpc.produce({ record }, { headers: headers(1) });
      await web.produce({ record }, { headers: headers(2) });
      await grpc.consume({ offset: 99n }, { headers: headers(3) }).catch(() => undefined);
      const flags = (n: number): string[] =>
        Object.entries(headers(n)).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
      const curl = (n: number, path: string, ...more: string[]): Promise<number> =>
        run("curl", ["-s", "--max-time", "20", ...flags(n), ...more, `${served.url}${path}`]);
      assert.equal(await curl(4, "/", "-d", '{"record":{"value":"dG9wIHNlY3JldA=="}}'), 0);
      assert.equal(await curl(5, "/tail?from=start&limit=1", "-N"), 0);
      const bufFlags = ["curl", "--http2-prior-knowledge", "--protocol", "grpc", "-d", "{}"];
      assert.equal(await run(buf, [...bufFlags, ...flags(6), `${served.url}/log.v1.Log/Describe`]), 0);
    }
    const calls = [
      ["log.v1.Log/Produce", "grpc", "ok"],
      ["log.v1.Log/Produce", "grpc-web", "ok"],
      ["log.v1.Log/Consume", "grpc", "out_of_range"],
      ["POST /", "http", "ok"],
      ["GET /tail", "http", "ok"],
      ["log.v1.Log/Describe", "grpc", "ok"],
    ] as const;
    for (const [at, [method, protocol, code]] of calls.entries()) {
      const n = at + 1;
      const span = collector.spans.find(({ traceId, kind }) => traceId === traceOf(n) && kind === 2);
      assert.equal(span?.name, method);
      assert.equal(span?.parentSpanId, callersSpan, `${method}: a child of the client's span`);
      const line = lines().find((one) => one["trace_id"] === traceOf(n) && one["method"] === method);
      assert.equal(line?.["protocol"], protocol);
      assert.equal(line?.["code"], code);
      assert.equal(line?.["subject"], "local");
      assert.match(String(line?.["peer"]), /^127\.0\.0\.1:\d+$/);
      assert.equal(typeof line?.["duration_ms"], "number");
      assert.equal(line?.["request_id"], `req-${n}`);
    }
    assert.doesNotMatch(text(), /top secret|dG9wIHNlY3JldA/);
    const durations = collector.metrics.get("rpc.server.call.duration")?.points ?? [];
    const produced = durations.filter(({ attributes }) => attributes["rpc.method"] === "log.v1.Log/Produce");
    assert.equal(
      produced.reduce((sum, { count = 0 }) => sum + count, 0),
      2,
    );
  },
);

test("a trace continues from the client through append and fsync, and with the record to its consumer", async (t) => {
  await using collector = await openCollector();
  const { destination } = sink();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
  Object.assign(process.env, env);
  {
    await using telemetry = await openTelemetry({ version: "1", env, destination, format: "json" });
    const { metrics, tracer } = telemetry;
    await using real = await openOneNode(
      scratch(t),
      {},
      { telemetry: { metrics, tracer, clock: systemClock } },
    );
    await using served = await serve({ telemetry, log: real.replica.log, fastPath: createFastPath });
    const grpc = createClient(Log, createGrpcTransport({ baseUrl: served.url }));
    const asked = (n: number) => ({ headers: { ...headers(n), "tailrace-trace-record": "yes" } });
    // Many at once, so that one fsync serves several appends. The gRPC-Web request over HTTP/1.1 is served by Connect.
    await Promise.all(Array.from({ length: 16 }, (_, n) => grpc.produce({ record }, asked(n + 16))));
    const web = createClient(Log, createGrpcWebTransport({ baseUrl: served.url, httpVersion: "1.1" }));
    await web.produce({ record }, asked(40));
    for (let offset = 0n; offset < 17n; offset++) {
      const read = await grpc.consume({ offset });
      const parent = traceparentOf(read.record ?? { headers: [] });
      tracer
        .span("handle the record", { kind: "internal", parent, attributes: { offset: Number(offset) } })
        .end();
    }
  }
  const named = (name: string) => collector.spans.filter((span) => span.name === name);
  const flushes = named("fsync");
  assert.ok(flushes.length > 0 && flushes.length <= 17);
  for (const n of [...Array.from({ length: 16 }, (_, at) => at + 16), 40]) {
    const mine = (name: string) => named(name).find(({ traceId }) => traceId === traceOf(n));
    const [server, append, handled] = [mine("log.v1.Log/Produce"), mine("append"), mine("handle the record")];
    assert.equal(server?.parentSpanId, callersSpan);
    assert.equal(append?.parentSpanId, server?.spanId);
    assert.equal(handled?.parentSpanId, append?.spanId, "the consumer's span is a child of the append");
    assert.equal(append?.attributes["tailrace.offset"], handled?.attributes["offset"]);
    const serving = flushes.filter(
      (flush) =>
        flush.parentSpanId === append?.spanId || flush.links.some(({ spanId }) => spanId === append?.spanId),
    );
    assert.equal(serving.length, 1, "one fsync made it durable");
  }
  const shown = (name: string) => collector.metrics.get(`tailrace.${name}`)?.points[0];
  assert.equal(shown("append.duration")?.count, 17);
  assert.equal(shown("log.group.records")?.sum, 17);
  assert.equal(shown("records.appended")?.value, 17);
  assert.equal(shown("records.sent")?.value, 17);
  assert.equal(shown("log.offset.next")?.value, 17);
  assert.ok((shown("log.sync.duration")?.count ?? 0) >= flushes.length);
  assert.ok((shown("log.size")?.value ?? 0) > 17 * 10);
  assert.equal(shown("log.segments")?.value, 1);
  for (const name of [
    "log.disk.free",
    "log.recovery.cuts",
    "tails",
    "bytes.sent",
    "cluster.lag",
    "cluster.term",
  ])
    assert.equal(typeof shown(name)?.value, "number", name);
});

test(
  "promtool accepts the /metrics of a node that has served calls",
  requireProgram("promtool"),
  async () => {
    const { destination } = sink();
    await using telemetry = await openTelemetry({ version: "1", destination, format: "json" });
    await using served = await serve({ telemetry });
    await using ops = await OpsServer.open({
      port: 0,
      prometheus: () => telemetry.prometheus(),
      version: { version: "1" },
    });
    const grpc = createClient(Log, createGrpcTransport({ baseUrl: served.url }));
    const web = createClient(Log, createGrpcWebTransport({ baseUrl: served.url, httpVersion: "1.1" }));
    await grpc.produce({ record });
    await web.produce({ record });
    await grpc.consume({ offset: 99n }).catch(() => undefined);
    const response = await fetch(`http://${ops.address}/metrics`, { headers: { connection: "close" } });
    const input = await response.text();
    assert.match(input, /rpc_server_call_duration_count\{[^}]*rpc_status_code="OK"\} 2/);
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input,
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout + stderr);
  },
);
