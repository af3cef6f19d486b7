import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import type { NodeView } from "../../../../src/api/cluster-view.ts";
import { clusterStateOf, describe } from "../../../../src/api/methods/describe.ts";
import { ClusterStateSchema, DescribeResponseSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { run } from "../../../support/log/logs.ts";
import { MemoryLog } from "../../../support/log/memory-log.ts";
import { singleView } from "../../../support/peer/single-view.ts";

const view = singleView({
  extent: () => ({ next: 5, index: 7 }),
  nodeId: "n1",
  clusterId: "c",
  rpcAddr: "n1:1",
  version: "1",
});

test("the description has the extent of the log, each of its segments and the node", async () => {
  const log = new MemoryLog();
  await log.append(run("a", "b", "c"));
  await log.trim(1);
  const described = await describe(log, view, "9.9");
  const { lowestOffset, nextOffset, segments, nodeId, clusterId, version } = described;
  assert.deepEqual([lowestOffset, nextOffset, nodeId, clusterId, version], [1n, 3n, "n1", "c", "9.9"]);
  assert.deepEqual(
    segments?.map(({ baseOffset, nextOffset, bytes, sealed }) => [baseOffset, nextOffset, bytes, sealed]),
    [[0n, 3n, described.bytes, false]],
  );
  toBinary(DescribeResponseSchema, create(DescribeResponseSchema, described));
});

test("a cluster without a leader has an empty leader id", () => {
  assert.equal(clusterStateOf(view).leaderId, "n1");
  assert.equal(clusterStateOf({ ...view, leaderId: undefined }).leaderId, "");
});

test("the time since the last contact is whole and not negative, so that it can be encoded", () => {
  const [node] = view.nodes() as [NodeView];
  const nodes = (): NodeView[] => [12.6, -0.4, -3].map((lastContactMs) => ({ ...node, lastContactMs }));
  const state = clusterStateOf({ ...view, nodes });
  assert.deepEqual(
    state.nodes?.map(({ lastContactMs }) => lastContactMs),
    [13n, 0n, 0n],
  );
  toBinary(ClusterStateSchema, create(ClusterStateSchema, state));
});
