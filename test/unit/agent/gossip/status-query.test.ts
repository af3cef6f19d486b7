import assert from "node:assert/strict";
import { test } from "node:test";
import { answerStatusQuery } from "../../../../src/agent/gossip/status-query.ts";
import type { ClusterView } from "../../../../src/api/cluster-view.ts";
import type { MembershipEvent } from "../../../../src/membership/mod.ts";
import { singleView } from "../../../support/peer/single-view.ts";

function ask(view: ClusterView, name: string): string | undefined {
  let response: string | undefined;
  let emit: (event: MembershipEvent) => void = () => {};
  const onEvent = (listener: (event: MembershipEvent) => void) => {
    emit = listener;
    return () => {};
  };
  answerStatusQuery({ onEvent }, view);
  const respond = (payload: Uint8Array): boolean => {
    response = Buffer.from(payload).toString();
    return true;
  };
  emit({
    kind: "query",
    query: { name, payload: Buffer.alloc(0), from: "other", timeoutMs: 1_000, respond },
  });
  return response;
}

test("only the query tailrace-status gets a response, one line of JSON about this node", () => {
  const view = singleView({
    ...{ nodeId: "one", clusterId: "c1", rpcAddr: "10.0.0.1:8400", version: "0.1.0" },
    extent: () => ({ next: 7, index: 9 }),
  });
  assert.equal(ask(view, "other"), undefined);
  const response = ask(view, "tailrace-status") ?? "";
  assert.ok(!response.includes("\n"));
  const status = JSON.parse(response) as Record<string, unknown>;
  assert.deepEqual(Object.keys(status), ["id", "role", "term", "leader", "commit", "applied", "version"]);
  assert.equal(status["id"], view.nodeId);
  assert.equal(status["role"], "leader");
});
