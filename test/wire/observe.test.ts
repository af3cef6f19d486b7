/**
 * What real clients' calls leave behind: spans below their own trace, a log line each, and metrics on the ops port.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { Writable } from "node:stream";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { OpsServer } from "../../src/agent/ops.ts";
import { Log } from "../../src/gen/log/v1/log_pb.js";
import { openTelemetry } from "../../src/telemetry/mod.ts";
import { openCollector } from "../support/otlp-collector.ts";
import { requireProgram } from "../support/require-program.ts";
import { serve } from "../support/serve.ts";

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

const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

/** The exit status. The server is in this process, so nothing may block meanwhile. */
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
  "every door continues the caller's trace, and leaves one line without the record",
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
    const doors = [
      ["log.v1.Log/Produce", "grpc", "ok"],
      ["log.v1.Log/Produce", "grpc-web", "ok"],
      ["log.v1.Log/Consume", "grpc", "out_of_range"],
      ["POST /", "http", "ok"],
      ["GET /tail", "http", "ok"],
      ["log.v1.Log/Describe", "grpc", "ok"],
    ] as const;
    for (const [at, [method, protocol, code]] of doors.entries()) {
      const n = at + 1;
      const span = collector.spans.find(({ traceId, kind }) => traceId === traceOf(n) && kind === 2);
      assert.equal(span?.name, method);
      assert.equal(span?.parentSpanId, callersSpan, `${method}: below the caller's span`);
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

test("promtool accepts /metrics of a node that has served", requireProgram("promtool"), async () => {
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
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
});
