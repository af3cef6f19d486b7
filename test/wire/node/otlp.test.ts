/**
 * A node with OTEL_* set exports over gRPC to a collector: the caller's trace from curl through the append to the fsync,
 * and metrics, all before the node has stopped. No ticket is in what it exports and logs.
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
    const flags = ["--data-dir", join(scratch(t), "data"), "--log-level", "debug"];
    const node = await startNode(t, flags, {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    });
    const { status, out } = await runProgram("curl", [
      ...["-s", "--max-time", "20", "-H", `traceparent: 00-${traceId}-${callersSpan}-01`],
      ...["-d", '{"record":{"value":"dHJhY2Vk"}}', node.url],
    ]);
    assert.deepEqual([status, out], [0, '{"offset":0}\n']);
    const tickets = await useTickets(node.url);
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

    assert.ok(collector.spans.some(({ name }) => name === "GET /tail"));
    assert.match(err, /POST \/tickets/);
    const seen = [err, ...collector.messages.map((message) => message.toString("latin1"))].join("\n");
    for (const ticket of tickets)
      for (const part of [ticket, ticket.split(".")[1]!])
        assert.ok(!seen.includes(part), `a ticket is in a log line, a trace or a metric`);
  },
);

/** Uses tickets in every way that succeeds or fails. Returns them. */
async function useTickets(url: string): Promise<string[]> {
  const tickets: string[] = [];
  const use = async (path: string, method = "GET", headers = {}): Promise<number> => {
    const made = (await (await fetch(`${url}/tickets`, { method: "POST" })).json()) as { ticket: string };
    tickets.push(made.ticket);
    const at = `${url}${path}${path.includes("?") ? "&" : "?"}ticket=${made.ticket}`;
    const { status, body } = await fetch(at, { method, headers });
    await body?.cancel();
    if (status === 200) {
      const again = await fetch(at, { method, headers });
      assert.deepEqual([again.status, (await again.text()).includes(made.ticket)], [401, false]);
    }
    return status;
  };
  const events = { accept: "text/event-stream" };
  assert.equal(await use("/tail?from=start"), 200);
  assert.equal(await use("/logs/default?from=start", "GET", events), 200);
  assert.equal(await use("/tail?from=nowhere"), 400);
  assert.equal(await use("/tail?log=other"), 403);
  assert.equal(await use("/tail?ticket=a"), 400);
  assert.equal(await use("/nowhere"), 400);
  assert.equal(await use("/logs/default?from=start"), 400);
  assert.equal(await use("/", "POST"), 400);
  assert.equal(await use("/tail", "GET", { authorization: "Bearer x" }), 400);
  return tickets;
}
