import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { emptyConfState, proposal } from "../../../../src/raft/core/types.ts";
import { type Entry, type Message, message, RaftNode } from "../../../../src/raft/mod.ts";
import { MemoryRaft } from "../../../support/raft/memory-raft.ts";
import { memberOf, RaftCluster } from "../../../support/raft/raft-cluster.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const text = (value: string): readonly Entry[] => [proposal(Buffer.from(value))];
const applied = (entries: readonly Entry[]): string[] =>
  entries.map((entry) => Buffer.from(entry.bytes).toString()).filter((value) => value !== "");

/** How a promise ended, once it has. */
function outcome<T>(promise: Promise<T>): { value?: T; fault?: Fault } {
  const seen: { value?: T; fault?: Fault } = {};
  promise.then(
    (value) => {
      seen.value = value;
    },
    (fault: unknown) => {
      seen.fault = fault as Fault;
    },
  );
  return seen;
}

test("a proposal resolves with its index once it is committed and applied here", async () => {
  const cluster = new RaftCluster(3);
  const { node, raft } = await cluster.elect();
  const seen = outcome(node.proposeAndWait(text("a")));
  await cluster.until("applied", () => seen.value !== undefined);
  assert.equal(seen.value, 2);
  assert.deepEqual(applied(raft.applied), ["a"]);
  await cluster.run(50);
  for (const { raft } of cluster.nodes.values()) assert.deepEqual(applied(raft.applied), ["a"]);
});

test("the proposals of one turn are one append to each follower and one group on disk", async () => {
  const cluster = new RaftCluster(3);
  const { node, raft } = await cluster.elect();
  await cluster.run(100);
  raft.writes = [];
  cluster.hub.sent = [];
  const all = Array.from({ length: 100 }, (_, at) => outcome(node.proposeAndWait(text(String(at)))));
  await cluster.until("applied", () => all.every((one) => one.value !== undefined));
  assert.equal(raft.writes.filter((changes) => changes.entries.length > 0).length, 1);
  const appends = cluster.hub.sent.filter((one) => one.type === "append" && one.entries.length > 0);
  assert.deepEqual(
    appends.map((one) => one.entries.length),
    [100, 100],
  );
});

test("proposals that arrive during a sync form the next group", async () => {
  const cluster = new RaftCluster(1);
  const { node, raft } = await cluster.elect();
  raft.syncMs = () => 10;
  raft.writes = [];
  const all: ReturnType<typeof outcome>[] = [];
  for (let at = 0; at < 50; at++) {
    all.push(outcome(node.proposeAndWait(text(String(at)))));
    await cluster.run(0.1);
  }
  await cluster.until("applied", () => all.every((one) => one.value !== undefined));
  assert.ok(raft.writes.filter((changes) => changes.entries.length > 0).length <= 3);
});

test("a leader sends to its followers while its own disk is still writing, and commits without it", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect();
  await cluster.run(100);
  leader.raft.syncMs = () => 300;
  const index = leader.node.lastIndex + 1;
  void outcome(leader.node.proposeAndWait(text("a")));
  await cluster.run(50);
  assert.equal(leader.node.committed, index);
  assert.equal(leader.raft.durable.entries.length, index - 1);
  assert.equal(leader.node.applied, index - 1);
  await cluster.run(400);
  assert.equal(leader.node.applied, index);
});

test("what a leader sends to its followers leaves before it writes, because a write can block the event loop", async () => {
  const cluster = new RaftCluster(3);
  const { node, raft } = await cluster.elect();
  await cluster.run(100);
  const handedOver: { readonly sent: number; readonly written: number }[] = [];
  const appends = (): number => cluster.hub.sent.filter(({ entries }) => entries.length > 0).length;
  cluster.hub.sent = [];
  const before = raft.writes.length;
  cluster.hub.onFlush = () => handedOver.push({ sent: appends(), written: raft.writes.length - before });
  const seen = outcome(node.proposeAndWait(text("a")));
  await cluster.until("applied", () => seen.value !== undefined);
  assert.deepEqual(handedOver[0], { sent: 2, written: 0 });
});

test("a follower's acknowledgement leaves only when its disk has it", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect();
  await cluster.run(100);
  for (const one of cluster.nodes.values()) one.raft.syncMs = () => 200;
  const index = leader.node.lastIndex + 1;
  void outcome(leader.node.proposeAndWait(text("a")));
  await cluster.run(150);
  assert.equal(leader.node.committed, index - 1);
  await cluster.run(150);
  assert.equal(leader.node.committed, index);
});

test("a candidate asks for votes only when its new term is durable", async () => {
  const cluster = new RaftCluster(3);
  const { node, raft } = cluster.at(1);
  raft.syncMs = () => 200;
  node.campaign();
  await cluster.run(100);
  assert.equal(node.term, 1);
  const asked = (): number => cluster.hub.sent.filter(({ type }) => type === "vote").length;
  assert.equal(asked(), 0);
  await cluster.run(150);
  assert.equal(asked(), 2);
});

test("a follower refuses proposals as not written, naming the leader", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  await cluster.run(100);
  const seen = outcome(cluster.at(2).node.proposeAndWait(text("a")));
  await cluster.run(1);
  assert.equal(seen.fault?.kind, "not-leader");
  assert.equal(seen.fault?.written, "no");
  assert.deepEqual(seen.fault?.facts, { leader: "node-1", address: "127.0.0.1:8001" });
  assert.equal(leader.node.peer, 1);
});

test("without a leader a proposal is unavailable, not written", async () => {
  const cluster = new RaftCluster(3);
  const seen = outcome(cluster.at(2).node.proposeAndWait(text("a")));
  await cluster.run(1);
  assert.equal(seen.fault?.kind, "unavailable");
  assert.equal(seen.fault?.retry, true);
});

test("a leader without a quorum reports uncommitted proposals as unknown", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  cluster.hub.lost = ({ from, to }) => from === 1 || to === 1;
  const seen = outcome(leader.node.proposeAndWait(text("a")));
  await cluster.run(10_000);
  assert.equal(seen.fault?.kind, "interrupted");
  assert.equal(seen.fault?.written, "unknown");
  assert.equal(leader.node.isLeader, false);
});

test("a proposal that another leader's entry replaced is not written", async () => {
  const cluster = new RaftCluster(3);
  const old = await cluster.elect(1);
  await cluster.run(50);
  cluster.hub.lost = ({ from, to }) => from === 1 || to === 1;
  const seen = outcome(old.node.proposeAndWait(text("lost")));
  await cluster.until("another leader", () => {
    const now = cluster.leader();
    return now !== undefined && now !== old && now.node.committedInTerm;
  });
  cluster.hub.lost = () => false;
  await cluster.until("settled", () => seen.fault !== undefined);
  assert.equal(seen.fault?.kind, "unavailable");
  assert.equal(seen.fault?.written, "no");
});

test("a proposal that a later leader commits resolves, although its leader has stepped down", async () => {
  const cluster = new RaftCluster(3);
  const old = await cluster.elect(1);
  await cluster.run(50);
  // The entry reaches 2, but no answer comes back.
  cluster.hub.lost = ({ to, type }) => to === 1 && type === "append-response";
  const seen = outcome(old.node.proposeAndWait(text("kept")));
  await cluster.run(20);
  cluster.hub.lost = ({ from, to }) => from === 1 || to === 1;
  await cluster.until("another leader", () => cluster.leader()?.node.peer !== 1);
  cluster.hub.lost = () => false;
  await cluster.until("settled", () => seen.value !== undefined || seen.fault !== undefined);
  assert.equal(seen.value, 2);
  await cluster.run(100);
  for (const { raft } of cluster.nodes.values()) assert.deepEqual(applied(raft.applied), ["kept"]);
});

test("a restart applies each entry once and keeps all durable entries", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  for (const value of ["a", "b", "c"]) void outcome(leader.node.proposeAndWait(text(value)));
  await cluster.run(100);
  const { term } = leader.node;
  cluster.crash(1);
  const again = cluster.start(1);
  assert.ok(again.node.term >= term);
  await cluster.elect();
  await cluster.run(200);
  assert.deepEqual(applied(again.raft.applied), ["a", "b", "c"]);
});

test("a failed storage stops the node: proposals fail as unknown, and nothing is sent to peers", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  await cluster.run(50);
  const cause = new Error("EIO");
  leader.raft.beforeWrite = () => {
    throw cause;
  };
  cluster.hub.lost = ({ to }) => to === 1;
  const seen = outcome(leader.node.proposeAndWait(text("a")));
  await cluster.run(5);
  assert.equal(seen.fault?.kind, "interrupted");
  assert.equal(leader.failure, cause);
  assert.equal(leader.node.status().stopped, true);
  cluster.hub.sent = [];
  await cluster.run(100);
  assert.equal(cluster.hub.sent.filter((one) => one.from === 1).length, 0);
  const after = outcome(leader.node.proposeAndWait(text("b")));
  await cluster.run(1);
  assert.equal(after.fault?.written, "no");
});

test("a node with a full disk acknowledges nothing, and continues once there is space", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  await cluster.run(50);
  const follower = cluster.at(2);
  follower.raft.beforeWrite = () => {
    throw new Fault("disk-full");
  };
  cluster.hub.lost = ({ from, to }) => from === 3 || to === 3;
  const seen = outcome(leader.node.proposeAndWait(text("a")));
  await cluster.run(500);
  assert.equal(seen.value, undefined);
  assert.equal(follower.node.status().diskFull, true);
  follower.raft.beforeWrite = () => {};
  await cluster.until("applied", () => seen.value !== undefined);
  assert.equal(follower.node.status().diskFull, false);
});

test("a leader whose disk is full hands over", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  await cluster.run(50);
  leader.raft.beforeWrite = () => {
    throw new Fault("disk-full");
  };
  void outcome(leader.node.proposeAndWait(text("a")));
  await cluster.until("another leader", () => cluster.leader()?.node.peer !== 1);
});

test("a linearizable read on a follower sees everything that was acknowledged before it", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  await cluster.run(50);
  // 3 learns of commits late.
  cluster.hub.delayMs = ({ to }) => (to === 3 ? 40 : 1);
  const write = outcome(leader.node.proposeAndWait(text("a")));
  await cluster.until("acknowledged", () => write.value !== undefined);
  const third = cluster.at(3);
  assert.equal(third.node.applied, 1);
  const read = outcome(third.node.readIndex());
  await cluster.until("read", () => read.value !== undefined);
  assert.ok((read.value ?? 0) >= 2);
  assert.deepEqual(applied(third.raft.applied), ["a"]);
});

test("reads of one turn share one round of heartbeats", async () => {
  const cluster = new RaftCluster(3, { heartbeatTicks: 50 });
  const leader = await cluster.elect(1);
  await cluster.run(600);
  cluster.hub.sent = [];
  const reads = Array.from({ length: 50 }, () => outcome(leader.node.readIndex()));
  await cluster.run(10);
  assert.ok(reads.every((one) => one.value !== undefined));
  assert.ok(cluster.hub.sent.filter((one) => one.type === "heartbeat").length <= 4);
});

test("a read is repeated after the leader is lost, and fails after its timeout", async () => {
  const cluster = new RaftCluster(3);
  await cluster.elect(1);
  await cluster.run(50);
  cluster.hub.lost = ({ from, to }) => from === 1 || to === 1;
  const read = outcome(cluster.at(2).node.readIndex());
  await cluster.until("read from the next leader", () => read.value !== undefined);
  const alone = outcome(cluster.at(1).node.readIndex());
  await cluster.until("given up", () => alone.fault !== undefined);
  assert.equal(alone.fault?.kind, "unavailable");
});

test("a node joins as learner with a new id, becomes voter, and is removed", async () => {
  const cluster = new RaftCluster(3);
  const { node } = await cluster.elect(1);
  for (const value of ["a", "b"]) void outcome(node.proposeAndWait(text(value)));
  await cluster.run(50);
  const peer = node.nextPeer;
  assert.equal(peer, 4);
  const joined = cluster.start(peer);
  const change = (action: "learner" | "voter" | "remove"): { value?: number; fault?: Fault } =>
    outcome(
      node.proposeChange({
        transition: "auto",
        changes: [{ action, peer }],
        ...(action === "learner" ? { members: [memberOf(peer)] } : {}),
      }),
    );
  change("learner");
  await cluster.until("caught up", () => applied(joined.raft.applied).length === 2);
  assert.deepEqual(node.configuration.learners, [4]);
  assert.equal(node.member("node-4")?.peer, 4);
  const promoted = change("voter");
  await cluster.until("promoted", () => promoted.value !== undefined);
  assert.deepEqual(node.configuration.voters, [1, 2, 3, 4]);
  await cluster.run(50);
  assert.deepEqual(joined.node.configuration.voters, [1, 2, 3, 4]);
  assert.equal(joined.node.configuration.roster?.members.length, 4);
  const removed = change("remove");
  await cluster.until("removed", () => removed.value !== undefined);
  assert.equal(node.member("node-4"), undefined);
  assert.equal(node.nextPeer, 5);
});

test("a second change before the first is applied is refused as not written", async () => {
  const cluster = new RaftCluster(3);
  const { node } = await cluster.elect(1);
  const change = { transition: "auto", changes: [{ action: "learner", peer: 4 }] } as const;
  const [first, second] = [outcome(node.proposeChange(change)), outcome(node.proposeChange(change))];
  await cluster.until("settled", () => first.value !== undefined && second.fault !== undefined);
  assert.equal(second.fault?.kind, "failed-precondition");
  assert.equal(second.fault?.written, "no");
});

test("messages of a voter with a wiped directory and the same id are ignored", async () => {
  const cluster = new RaftCluster(3);
  const { node } = await cluster.elect(1);
  await cluster.run(50);
  const { term } = node;
  node.receive(message("append-response", 1, { from: 2, term: term + 5, index: 1 }), "another");
  assert.equal(node.term, term);
  node.receive(message("append-response", 1, { from: 2, term: term + 5, index: 1 }), "directory-2");
  assert.equal(node.term, term + 5);
});

test("a snapshot updates a follower whose entries were deleted, and proposals within it are unknown", async () => {
  const cluster = new RaftCluster(3);
  const leader = await cluster.elect(1);
  await cluster.run(50);
  cluster.hub.lost = ({ from, to }) => from === 3 || to === 3;
  for (let at = 0; at < 20; at++) void outcome(leader.node.proposeAndWait(text(String(at))));
  await cluster.run(50);
  leader.raft.compact(15);
  cluster.at(2).raft.compact(15);
  cluster.hub.lost = () => false;
  await cluster.until("caught up", () => cluster.at(3).node.applied === leader.node.applied);
  assert.equal(applied(cluster.at(3).raft.applied).length, 20);
  assert.ok(cluster.hub.sent.some((one) => one.type === "snapshot"));
});

test("a proposal beyond the limit of the queue is refused at once", async () => {
  const cluster = new RaftCluster(1, { queuedMax: 3 });
  const { node } = await cluster.elect(1);
  const all = Array.from({ length: 5 }, (_, at) => outcome(node.proposeAndWait(text(String(at)))));
  await cluster.run(20);
  assert.deepEqual(
    all.map((one) => one.fault?.kind ?? one.value),
    [2, 3, 4, "overloaded", "overloaded"],
  );
});

test("proposals beyond the limit of uncommitted bytes are refused as not written", async () => {
  const cluster = new RaftCluster(3, { uncommittedBytesMax: 100 });
  const { node } = await cluster.elect(1);
  await cluster.run(50);
  cluster.hub.lost = () => true;
  const all: ReturnType<typeof outcome>[] = [];
  for (let at = 0; at < 4; at++) {
    all.push(outcome(node.proposeAndWait(text("x".repeat(40)))));
    await cluster.run(1);
  }
  assert.deepEqual(
    all.map((one) => one.fault?.kind),
    [undefined, undefined, "overloaded", "overloaded"],
  );
});

test("on close, sent proposals fail as unknown and queued ones as not written", async () => {
  const cluster = new RaftCluster(3);
  const { node } = await cluster.elect(1);
  cluster.hub.lost = () => true;
  const handed = outcome(node.proposeAndWait(text("a")));
  await cluster.run(1);
  const queued = outcome(node.proposeAndWait(text("b")));
  const read = outcome(node.readIndex());
  await node.close();
  assert.deepEqual([handed.fault?.written, queued.fault?.written], ["unknown", "no"]);
  assert.equal(read.fault?.kind, "unavailable");
});

test("refused connections to the leader cause an election long before the timeout", async () => {
  const cluster = new RaftCluster(3);
  await cluster.elect(1);
  await cluster.run(100);
  cluster.crash(1);
  cluster.nodes.delete(1);
  const start = cluster.time.now;
  for (const peer of [2, 3]) cluster.at(peer).node.connectionRefused(1);
  await cluster.elect();
  assert.ok(cluster.time.now - start < 200, `${cluster.time.now - start} ms`);
});

test("after a pause a node reads waiting messages before it starts an election", async () => {
  const cluster = new RaftCluster(3);
  await cluster.elect(1);
  await cluster.run(100);
  const { term } = cluster.at(1).node;
  cluster.at(2).clock.pause(5_000);
  await cluster.run(6_000);
  assert.equal(cluster.at(1).node.term, term);
  assert.equal(cluster.at(1).node.isLeader, true);
});

test("no unsealed entry is sent, even if a new leader is deposed before it sealed its first one", () => {
  const time = new VirtualTime();
  const sent: Message[] = [];
  const raft = new MemoryRaft(time.clock(), { ...emptyConfState, voters: [1, 2, 3] });
  raft.format = {
    draft: () => Buffer.from("draft"),
    seal: (entries) => {
      for (const { bytes } of entries) Buffer.from(bytes.buffer, bytes.byteOffset).write("whole");
    },
    check: () => undefined,
    follows: () => true,
  };
  const node = new RaftNode({
    peer: 1,
    clock: time.clock(),
    random: prng("deposed"),
    storage: raft,
    machine: raft,
    transport: { send: (message) => sent.push(message), members: () => {} },
  });
  const settle = (): void => {
    for (let steps = 0; steps < 20 && time.step(); steps++);
  };
  node.campaign();
  settle();
  node.receive(message("pre-vote-response", 1, { from: 2, term: 1 }));
  settle();
  node.receive(message("vote-response", 1, { from: 2, term: 1 }));
  assert.equal(node.isLeader, true);
  const entries = [{ index: 1, term: 2, bytes: Buffer.from("other"), change: undefined }];
  node.receive(message("append", 1, { from: 3, term: 2, entries }));
  settle();
  assert.equal(node.isLeader, false);
  assert.deepEqual(
    sent.filter(({ type }) => type === "append"),
    [],
  );
});
