import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeCluster, type NodeClusterOptions } from "../../../../src/agent/cluster/node-cluster.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import type { PeerHello } from "../../../../src/peer/mod.ts";

const nothing = (): void => undefined;

test("a peer request without a body is refused as malformed for every verb", async () => {
  const member = { name: "n1", directory: "00".repeat(16), address: "n1:1" };
  // The body is checked before the replica is used.
  const options = {
    replica: { member, identity: { name: "n1" }, onChange: () => nothing, started: false },
    network: { attach: nothing },
    gossip: { membership: { onEvent: () => nothing } },
    clock: systemClock,
  } as unknown as NodeClusterOptions;
  using cluster = new NodeCluster(options);
  for (const verb of [
    "founders",
    "end",
    "adopt",
    "removed",
    "extents",
    "leave",
    "add",
    "remove",
    "transfer",
  ]) {
    for (const body of [null, undefined, 1, "adopt"]) {
      await assert.rejects(cluster.ask(verb, body, {} as PeerHello), {
        kind: "bad-request",
        message: `the peer request ${verb} is malformed`,
      });
    }
  }
  await assert.rejects(cluster.ask("unknown", {}, {} as PeerHello), { kind: "unimplemented" });
});
