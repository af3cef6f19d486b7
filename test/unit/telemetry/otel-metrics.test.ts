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
import { longestTurnMs } from "../../support/time/longest-turn.ts";

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

test("a metric with many series is written in parts, with one description and every series", async () => {
  const destination = new Writable({ write: (_chunk, _encoding, done) => done() });
  await using telemetry = await openTelemetry({ version: "1", nodeName: "n1", destination });
  const description = { description: "A duration", unit: "s", boundaries: secondsBoundaries };
  for (let series = 0; series < 1_050; series++) {
    telemetry.metrics.histogram("test.duration", { ...description, attributes: { series } }).record(0.1);
  }
  await telemetry.prometheus();
  const turnMs = await longestTurnMs(async () => {
    const lines = (await telemetry.prometheus()).split("\n");
    assert.equal(lines.filter((line) => line.startsWith("# TYPE test_duration ")).length, 1);
    assert.equal(lines.filter((line) => line.startsWith("# HELP test_duration ")).length, 1);
    assert.equal(lines.filter((line) => line.startsWith("test_duration_count{")).length, 1_050);
    assert.equal(lines.filter((line) => line.startsWith("target_info{")).length, 1);
    assert.equal(lines.includes(""), lines.at(-1) === "");
  });
  // The aim is 50: a turn of other work, or a garbage collection, can add to it.
  assert.ok(turnMs < 500, `one turn took ${turnMs} ms`);
});

test("promtool accepts the text", requireProgram("promtool"), async () => {
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: await text(),
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout + stderr);
});
