/**
 * The files of --debug-telemetry, and that a node without them and without OTEL_* loads no SDK.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { test } from "node:test";
import { openTelemetry } from "../../../src/telemetry/mod.ts";
import { scratch } from "../../support/scratch.ts";

const silent = () => new Writable({ write: (_chunk, _encoding, done) => done() });
const linesOf = (path: string): Record<string, unknown>[] =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("spans and metrics are written as JSON lines", async (t) => {
  const directory = join(scratch(t), "debug");
  {
    await using telemetry = await openTelemetry({
      version: "1",
      debugDirectory: directory,
      destination: silent(),
    });
    const call = telemetry.begin({
      method: "log.v1.Log/Produce",
      protocol: "grpc",
      subject: "root",
      peer: "127.0.0.1:1",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    const append = telemetry.tracer.span("append", { parent: call.traceparent });
    append.set("tailrace.records", 2);
    append.end(new Error("disk"));
    call.end("unknown", 1, 1);
  }
  const [append, call] = linesOf(join(directory, "traces.jsonl"));
  assert.equal(call?.["trace_id"], "0af7651916cd43dd8448eb211c80319c");
  assert.equal(call?.["parent_span_id"], "b7ad6b7169203331");
  assert.equal(call?.["kind"], "server");
  assert.equal(append?.["parent_span_id"], call?.["span_id"]);
  assert.equal(append?.["error"], "disk");
  assert.equal((append?.["attributes"] as Record<string, unknown> | undefined)?.["tailrace.records"], 2);
  const metrics = linesOf(join(directory, "metrics.jsonl")).at(-1)?.["metrics"] as { name: string }[];
  assert.ok(metrics.some(({ name }) => name === "rpc.server.call.duration"));
});

test("without exporters no OpenTelemetry module is loaded", () => {
  const program = `
    import { registerHooks } from "node:module";
    registerHooks({ resolve(name, context, next) {
      if (name.includes("opentelemetry")) console.log(name);
      return next(name, context);
    } });
    const { openTelemetry } = await import("./src/telemetry/mod.ts");
    const telemetry = await openTelemetry({ version: "1", level: "silent" });
    telemetry.begin({ method: "a/b", protocol: "grpc", subject: "s", peer: "p" }).end("ok", 1, 1);
    console.log("ready");
    await telemetry.prometheus();
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: join(import.meta.dirname, "../../.."),
    encoding: "utf8",
  });
  const words = stdout.trim().split("\n");
  assert.equal(words[0], "ready", stderr);
  assert.ok(
    words.slice(1).some((word) => word.includes("exporter-prometheus")),
    "the hook does see them",
  );
});
