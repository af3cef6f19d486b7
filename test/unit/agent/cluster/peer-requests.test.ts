/** What a node says when a leader of another cluster wants to add it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MembershipStatus } from "../../../../src/agent/cluster/membership-status.ts";
import { PeerRequests, type PeerRequestsOptions } from "../../../../src/agent/cluster/peer-requests.ts";
import { NodeReadiness } from "../../../../src/agent/node-readiness.ts";
import { noLogger } from "../../../../src/lib/telemetry.ts";
import type { PeerHello } from "../../../../src/peer/mod.ts";

interface Given {
  readonly clusterId?: string;
  readonly flag?: string;
  readonly restoredFrom?: string;
  readonly configured?: boolean;
}

/** A node that waits to be added, and the reasons that /readyz?verbose would show. */
function waitingNode({ clusterId, flag, restoredFrom, configured = false }: Given) {
  const replica = { identity: { name: "b" }, configured, state: { clusterId, restoredFrom } };
  const readiness = new NodeReadiness();
  const logged: string[] = [];
  const logger = { ...noLogger, info: (facts: object) => logged.push(JSON.stringify(facts)) };
  const status = new MembershipStatus({ replica, readiness, logger } as never);
  status.wait("this node waits to be added to a cluster");
  const requests = new PeerRequests({
    ...{ replica, status, logger },
    config: { clusterId: flag, initialOffset: 0 },
  } as unknown as PeerRequestsOptions);
  const adopt = (id: string): Promise<unknown> =>
    requests.answer("adopt", { clusterId: id, startOffset: 0 }, { name: "a", clusterId: id } as PeerHello);
  return { adopt, readiness, logged, replica };
}

test("a node that is of another cluster says so itself, once, with what its own id is from", async () => {
  const kinds: readonly [Given, RegExp][] = [
    [{ restoredFrom: "old" }, /belongs to cluster old, by the backup that its data directory was restored/],
    [{ flag: "old" }, /belongs to cluster old, by --cluster-id/],
    [{ clusterId: "old", flag: "x" }, /belongs to cluster old, by its data directory/],
  ];
  for (const [given, expected] of kinds) {
    const { adopt, readiness, logged, replica } = waitingNode(given);
    for (let n = 0; n < 3; n++)
      await assert.rejects(adopt("new"), {
        kind: "failed-precondition",
        message: /does not join cluster new/,
      });
    assert.equal(readiness.reasons().length, 1);
    assert.match(readiness.reasons()[0]!, /^this node is not added to cluster new: /);
    assert.match(readiness.reasons()[0]!, expected);
    assert.equal((replica as { waitingFor?: string }).waitingFor, readiness.reasons()[0]);
    assert.equal(logged.filter((line) => line.includes("not added to cluster new")).length, 1);
  }
});

test("the reason of a member does not change because a leader of another cluster asks", async () => {
  const { adopt, readiness } = waitingNode({ clusterId: "old", configured: true });
  await assert.rejects(adopt("new"), { kind: "failed-precondition" });
  assert.deepEqual(readiness.reasons(), ["this node waits to be added to a cluster"]);
});
