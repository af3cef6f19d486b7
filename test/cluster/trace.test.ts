/**
 * A trace goes through Raft: a call to a follower and the leader's flush are in one trace, and every node returns the
 * trace with the record.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { traceparentOf } from "../../src/client/mod.ts";
import { processWait, TestCluster } from "../support/process/cluster.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const callersSpan = "b7ad6b7169203331";

interface Span {
  readonly name: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly parent_span_id?: string;
}

test("a follower's call, its append, the leader's part and fsync are one trace, and the record carries it to its readers", async (t) => {
  const directory = scratch(t);
  const cluster = await TestCluster.make(t, directory, { tls: true });
  const telemetryOf = (name: string): string => join(directory, `telemetry-${name}`);
  for (const node of cluster.nodes) {
    node.flags.push("--debug-telemetry", telemetryOf(node.name));
    cluster.start(node);
  }
  await cluster.whole();
  const leader = await cluster.leader();
  const [follower] = await cluster.followers();
  assert.ok(follower !== undefined);
  using client = cluster.connect(follower);
  const headers = { traceparent: `00-${traceId}-${callersSpan}-01`, "tailrace-trace-record": "yes" };
  const { offset } = await client.rpc.log.produce({ record: { value: Buffer.from("x") } }, { headers });

  const span = (node: string, name: string): Span | undefined =>
    readFileSync(join(telemetryOf(node), "traces.jsonl"), "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Span)
      .find((one) => one.trace_id === traceId && one.name === name);
  await until(
    "the spans are exported",
    () => span(follower.name, "log.v1.Log/Produce") && span(leader.name, "fsync"),
    processWait,
  );
  const [call, append] = [span(follower.name, "log.v1.Log/Produce"), span(follower.name, "append")];
  assert.equal(call?.parent_span_id, callersSpan);
  assert.equal(append?.parent_span_id, call?.span_id);
  const forwarded = span(leader.name, "tailrace.Peer/append");
  assert.equal(forwarded?.parent_span_id, append?.span_id);
  assert.equal(span(leader.name, "fsync")?.parent_span_id, forwarded?.span_id);
  // Both nodes log a call with the trace's id.
  const callOf = (log: string, method: string): Record<string, unknown> | undefined =>
    log
      .split("\n")
      .filter((line) => line.includes(`"method":"${method}"`) && line.includes(traceId))
      .map((line) => JSON.parse(line) as Record<string, unknown>)[0];
  const [here, there] = [
    callOf(follower.log, "log.v1.Log/Produce"),
    callOf(leader.log, "tailrace.Peer/append"),
  ];
  assert.deepEqual([here?.["code"], here?.["subject"]], ["ok", "root"]);
  const { protocol, code, subject, via, peer } = there ?? {};
  assert.deepEqual(
    [protocol, code, subject, via, peer],
    ["peer", "ok", "root", follower.name, follower.addr],
  );
  for (const node of cluster.nodes) {
    using reader = cluster.connect(node);
    const { record } = await reader.rpc.log.consume({ offset });
    assert.ok(record !== undefined);
    assert.equal(traceparentOf(record), `00-${traceId}-${append?.span_id}-01`);
  }
});
