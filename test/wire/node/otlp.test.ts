/**
 * A node with OTEL_* set exports over gRPC to a collector: the caller's trace from curl through the append to the fsync,
 * and metrics, all before the node has stopped.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { startNode } from "../../support/process/process.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { runProgram } from "../../support/process/run-program.ts";
import { scratch } from "../../support/scratch.ts";
import { openGrpcCollector } from "./otlp-grpc-collector.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const callersSpan = "b7ad6b7169203331";

test(
  "OTLP over gRPC: curl's trace through append and fsync, and metrics",
  requireProgram("curl"),
  async (t) => {
    await using collector = await openGrpcCollector();
    const node = await startNode(t, ["--data-dir", join(scratch(t), "data")], {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    });
    const { status, out } = await runProgram("curl", [
      ...["-s", "--max-time", "20", "-H", `traceparent: 00-${traceId}-${callersSpan}-01`],
      ...["-d", '{"record":{"value":"dHJhY2Vk"}}', node.url],
    ]);
    assert.deepEqual([status, out], [0, '{"offset":0}\n']);
    const { status: exit, err } = await node.kill("SIGTERM");
    assert.equal(exit, 0, err);
    assert.doesNotMatch(err, /not flushed/);

    const span = (name: string) =>
      collector.spans.find((one) => one.traceId === traceId && one.name === name);
    const [server, append, fsync] = [span("POST /"), span("append"), span("fsync")];
    assert.deepEqual([server?.parentSpanId, server?.kind], [callersSpan, 2]);
    assert.equal(append?.parentSpanId, server?.spanId);
    assert.equal(fsync?.parentSpanId, append?.spanId);
    for (const name of [
      "http.server.request.duration",
      "tailrace.append.duration",
      "tailrace.log.sync.duration",
      "tailrace.log.group.records",
      "tailrace.log.segments",
      "tailrace.tails",
    ])
      assert.ok(collector.metricNames.has(name), name);
  },
);
