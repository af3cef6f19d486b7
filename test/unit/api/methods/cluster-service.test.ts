import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { ClusterView, NodeView } from "../../../../src/api/cluster-view.ts";
import { clusterService } from "../../../../src/api/methods/cluster-service.ts";
import { StatusRequestSchema, WhoAmIRequestSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { singleView } from "../../../support/peer/single-view.ts";
import { handlerCall } from "../handler-call.ts";

const view = singleView({
  extent: () => ({ next: 5, index: 7 }),
  nodeId: "n1",
  clusterId: "c",
  rpcAddr: "n1:1",
  version: "1",
});
const [leader] = view.nodes() as [NodeView];

function serviceOf(changed: Partial<ClusterView> = {}, reasons: readonly string[] = []) {
  const service = clusterService({
    cluster: { ...view, ...changed },
    access: {
      allowedActions: ({ subject }) => (subject === "ann" ? ["consume"] : []),
      patternsOf: (_, action) => {
        if (action === "trim") return undefined;
        return action === "consume" ? Array.from({ length: 300 }, (_, at) => `log-${1_000 + at}`) : [];
      },
    },
    readiness: { reasons: () => reasons, onChange: () => () => undefined },
    operations: {},
  });
  const { context } = handlerCall();
  return {
    service,
    status: async () => service.status?.(create(StatusRequestSchema, {}), context),
    whoAmI: async () => service.whoAmI?.(create(WhoAmIRequestSchema, {}), context),
  };
}

test("the status is that of this node, with the voters and the learners of the cluster", async () => {
  const nodes = (): NodeView[] => [
    { ...leader, id: "n2" },
    { ...leader, role: "follower", isLeader: false, commitIndex: 3, appliedIndex: 2 },
    { ...leader, id: "n3", role: "learner" },
  ];
  assert.deepEqual(await serviceOf({ nodes, leaderId: "n2" }).status(), {
    ...{ id: "n1", role: "follower", term: 1n, leader: "n2", commit: 3n, applied: 2n },
    ...{ voters: ["n2", "n1"], learners: ["n3"], ready: true, reasons: [] },
  });
});

test("a node that is in no cluster is a learner without a leader, and says why it is not ready", async () => {
  const { status } = serviceOf({ nodes: () => [], leaderId: undefined }, ["it waits for others"]);
  assert.deepEqual(await status(), {
    ...{ id: "n1", role: "learner", term: 1n, leader: "", commit: 0n, applied: 0n },
    ...{ voters: [], learners: [], ready: false, reasons: ["it waits for others"] },
  });
});

test("a node that was removed does not count itself as a learner", async () => {
  const nodes = (): NodeView[] => [
    { ...leader, role: "learner", isLeader: false, healthy: false },
    { ...leader, id: "n2" },
    { ...leader, id: "n3", role: "learner", isLeader: false, healthy: false },
  ];
  const found = await serviceOf({ nodes, leaderId: "n2" }).status();
  assert.deepEqual([found?.role, found?.learners], ["learner", ["n3"]]);
});

test("a caller learns its own subject and what it may do", async () => {
  const { logs, ...found } = (await serviceOf().whoAmI())!;
  assert.deepEqual(found, {
    ...{ subject: "ann", actions: ["consume"] },
    ...{ credential: "none", tokenId: "", tokenExpiresMs: 0n },
  });
  const [consume, trim, ...more] = logs ?? [];
  assert.deepEqual([consume?.logs?.length, consume?.logs?.[255], consume?.more], [256, "log-1255", true]);
  assert.deepEqual([trim, more], [{ action: "trim", unknown: true }, []]);
});

test("an operation that no module serves is absent, so that it is unimplemented", () => {
  assert.deepEqual(Object.keys(serviceOf().service).sort(), ["status", "whoAmI"]);
});
