/**
 * The Prometheus text: its content, and that promtool accepts it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { Writable } from "node:stream";
import { test } from "node:test";
import { secondsBoundaries } from "../../../src/lib/telemetry.ts";
import { openTelemetry } from "../../../src/telemetry/mod.ts";
import { requireProgram } from "../../support/process/require-program.ts";

async function text(): Promise<string> {
  const destination = new Writable({ write: (_chunk, _encoding, done) => done() });
  await using telemetry = await openTelemetry({ version: "1.2.3", nodeName: "n1", destination });
  const start = { method: "log.v1.Log/Produce", protocol: "grpc", subject: "s", peer: "p" } as const;
  telemetry.begin(start).end("ok", 100, 8);
  telemetry.begin(start).end("permission_denied", 100, 8);
  telemetry.metrics
    .counter("tailrace.log.appended", { description: "Records appended", unit: "{record}" })
    .add(3);
  telemetry.metrics
    .histogram("tailrace.log.fsync.duration", {
      description: "fdatasync",
      unit: "s",
      boundaries: secondsBoundaries,
    })
    .record(0.000_2);
  telemetry.metrics.gauge("tailrace.tails", { description: 'A "quoted" \\ thing', unit: "{tail}" }, () => 2);
  await telemetry.prometheus();
  return telemetry.prometheus();
}

test("the text has counters, histograms and gauges by name, and the node in target_info", async () => {
  const lines = (await text()).split("\n");
  const has = (line: string | RegExp): void =>
    assert.ok(
      lines.some((one) => (typeof line === "string" ? one === line : line.test(one))),
      `${line} in\n${lines.join("\n")}`,
    );
  has("tailrace_log_appended_total 3");
  has("tailrace_tails 2");
  has("# TYPE rpc_server_call_duration histogram");
  has(
    /^rpc_server_call_duration_count\{rpc_system_name="grpc",rpc_method="log.v1.Log\/Produce",rpc_status_code="OK"\} 1$/,
  );
  has(/^tailrace_log_fsync_duration_bucket\{le="0.00025"\} 1$/);
  has(/^tailrace_log_fsync_duration_bucket\{le="0.0001"\} 0$/);
  has(/^tailrace_log_fsync_duration_bucket\{le="\+Inf"\} 1$/);
  has(/^target_info\{service_name="tailrace",service_version="1.2.3",service_instance_id="n1"\} 1$/);
  has(/^process_cpu_time_total\{cpu_mode="user"\} \d/);
});

test("promtool accepts the text", requireProgram("promtool"), async () => {
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: await text(),
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout + stderr);
});
