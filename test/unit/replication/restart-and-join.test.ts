/**
 * Bugs that the simulator found, each in its smallest form: a restart below a configuration, joining a trimmed log,
 * rejections by a deposed leader.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { directoryText } from "../../../src/replication/mod.ts";
import { run } from "../../support/log/logs.ts";
import { MemoryCluster } from "../../support/raft/replicas.ts";
import { until } from "../../support/until.ts";

test("a restart begins at the last configuration in force, even if the stored commit index is lower", async () => {
  await using cluster = await MemoryCluster.open(1);
  const [node] = cluster.nodes;
  assert.ok(node !== undefined);
  for (let at = 0; at < 5; at++) await node.replica?.log.append(run(`before ${at}`));
  const peer = 9;
  const member = { peer, name: "other", directory: directoryText(new Uint8Array(16)), address: "other:1" };
  const index = await node.replica?.node.proposeChange({
    transition: "auto",
    changes: [{ action: "learner", peer }],
    members: [member],
  });
  await cluster.crash(node);
  const reopened = cluster.reopen(node);
  assert.equal(reopened.storedLog.commitIndex, index);
  reopened.start();
  assert.deepEqual(reopened.node.configuration.learners, [peer]);
});

test("a node joins a log that was trimmed before", async () => {
  await using cluster = await MemoryCluster.open(1, { segmentStoreBytesMax: 1000 });
  const [node] = cluster.nodes;
  const first = node?.replica;
  assert.ok(first !== undefined);
  for (let at = 0; at < 60; at++) await first.log.append(run(`record ${at}`));
  await first.log.trim(40);
  assert.ok(first.storedLog.compact() > 0);
  const added = cluster.add("late").replica;
  assert.ok(added !== undefined);
  added.start();
  const { member } = added;
  await first.node.proposeChange({
    transition: "auto",
    changes: [{ action: "learner", peer: member.peer }],
    members: [member],
  });
  const { next } = await first.log.bounds();
  await until("the new node has all records", () => added.storedLog.bounds.next === next);
  assert.equal(added.storedLog.bounds.lowest, 40);
  await until("the new node is a learner", () => added.node.configuration.learners.includes(member.peer));
});

test("a leader without a quorum is unavailable and does not reject a producer sequence or an expected offset", async () => {
  await using cluster = await MemoryCluster.open(3);
  const leader = await cluster.leader();
  const log = leader.replica?.log;
  assert.ok(log !== undefined);
  const producer = { subject: "test", id: 1n, epoch: 0, sequence: 0 };
  await log.append(run("first"), { producer });
  cluster.isolate(leader.name);
  const early = { ...producer, sequence: 2 };
  await assert.rejects(log.append(run("third"), { producer: early, forward: false }), {
    kind: "unavailable",
  });
});

test("a leader with a quorum rejects a wrong sequence and a wrong offset, with the expected values", async () => {
  await using cluster = await MemoryCluster.open(3);
  const log = (await cluster.leader()).replica?.log;
  assert.ok(log !== undefined);
  const producer = { subject: "test", id: 1n, epoch: 0, sequence: 0 };
  const { firstOffset } = await log.append(run("first"), { producer });
  const early = { ...producer, sequence: 2 };
  await assert.rejects(log.append(run("third"), { producer: early }), { kind: "out-of-sequence" });
  await assert.rejects(log.append(run("second"), { expectedOffset: firstOffset }), {
    kind: "offset-mismatch",
    facts: { expected: firstOffset, next: firstOffset + 1 },
  });
});
