import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { delay, systemClock } from "../../../src/lib/time/clock.ts";
import { logLines } from "../../support/log/log-lines.ts";
import { allValues, run } from "../../support/log/logs.ts";
import { directoryOf, SocketCluster, type SocketNode } from "../../support/peer/socket-cluster.ts";
import { until } from "../../support/until.ts";
import { openPeer } from "./peer-node.ts";

/** No node starts an election because of a timeout. */
const withoutTimeouts = { replica: { raft: { tickMs: 5, electionTicks: 1_000_000, heartbeatTicks: 4 } } };

const logOf = ({ up }: SocketNode) => up!.replica.log;
const has = (node: SocketNode, count: number): Promise<boolean> =>
  until(`${node.name} has ${count} records`, () => node.up!.replica.storedLog.bounds.next === count);

/** Resolves once a node has checked twice which records are expired. */
async function expiryChecked(node: SocketNode, leader: SocketNode): Promise<void> {
  const { time } = node.up!.network;
  let checks = 0;
  const expiryMs = time.expiryMs.bind(time);
  time.expiryMs = () => {
    checks++;
    return expiryMs();
  };
  for (const count of [1, 2]) {
    await logOf(leader).append(run("check"));
    await until(`${node.name} has checked which records are expired`, () => checks >= count);
  }
}

/** Resolves when Raft on this node has ticked twice: it asks at each tick whether the node may campaign. */
async function raftTick({ up }: SocketNode): Promise<void> {
  const { network } = up!;
  let asked = 0;
  const mayCampaign = network.mayCampaign.bind(network);
  network.mayCampaign = () => {
    asked++;
    return mayCampaign();
  };
  await until("Raft has ticked", () => asked >= 2);
}

describe("appends in a cluster over sockets", () => {
  test("every node accepts appends, and all nodes have the same records", async () => {
    await using cluster = await SocketCluster.open(3);
    await cluster.linked();
    const values = Array.from({ length: 90 }, (_, at) => `v${at}`);
    await Promise.all(values.map((value, at) => logOf(cluster.nodes[at % 3]!).append(run(value))));
    for (const node of cluster.nodes) await has(node, 90);
    const [first, ...rest] = await Promise.all(cluster.nodes.map((node) => allValues(logOf(node))));
    assert.deepEqual(first!.toSorted(), values.toSorted());
    for (const found of rest) assert.deepEqual(found, first);
  });

  test("a follower shows a record as soon as its append has succeeded", async () => {
    await using cluster = await SocketCluster.open(3);
    const [follower] = cluster.followers(await cluster.leader());
    for (let n = 0; n < 50; n++) {
      const { firstOffset } = await logOf(follower!).append(run(`v${n}`));
      await logOf(follower!).read(firstOffset, { mode: "any" });
    }
  });

  test("an append with a producer is sent again when its response was lost, and is in the log once", async () => {
    await using cluster = await SocketCluster.open(3, withoutTimeouts);
    await cluster.linked();
    const leader = await cluster.leader();
    const [follower] = cluster.followers(leader);
    const appends: Promise<unknown>[] = [];
    for (let sequence = 0; sequence < 40; sequence++) {
      const producer = { subject: "s", id: 1n, epoch: 0, sequence };
      const append = logOf(follower!).append(run(`p${sequence}`), { producer });
      appends.push(append);
      if (sequence % 6 === 0) {
        // The pauses differ, so that the reset meets the append in different states.
        await delay(systemClock, sequence % 4);
        cluster.reset(leader);
      }
      await append;
    }
    await Promise.all(appends);
    await has(leader, 40);
    assert.deepEqual(
      await allValues(logOf(leader)),
      Array.from({ length: 40 }, (_, at) => `p${at}`),
    );
  });

  test("an append without a producer is not sent again if it may have been written", async () => {
    await using cluster = await SocketCluster.open(3, withoutTimeouts);
    await cluster.linked();
    const leader = await cluster.leader();
    const [follower] = cluster.followers(leader);
    const ends: unknown[] = [];
    for (let n = 0; n < 60; n++) {
      const append = logOf(follower!)
        .append(run(`u${n}`))
        .then(() => "appended", Fault.from);
      await delay(systemClock, n % 3);
      cluster.reset(leader);
      ends.push(await append);
      await cluster.linked();
    }
    const producer = { subject: "s", id: 1n, epoch: 0, sequence: 0 };
    await logOf(follower!).append(run("last"), { producer });
    const values = await allValues(logOf(follower!));
    for (const [n, end] of ends.entries()) {
      const times = values.filter((value) => value === `u${n}`).length;
      if (end === "appended") assert.equal(times, 1);
      else if (end instanceof Fault && end.written === "no") assert.equal(times, 0);
      else assert.ok(times <= 1);
    }
  });

  test("an append that waits for room on a node that closes is refused as not written", async () => {
    await using cluster = await SocketCluster.open(1, {
      replica: { queue: { bytesMax: 1_024, appendsMax: 4 } },
    });
    const { replica } = (await cluster.leader()).up!;
    const ends = Array.from({ length: 20 }, () =>
      replica.log.append(run("x".repeat(900)), { forward: false, forwarded: true }).catch(Fault.from),
    );
    await replica.close();
    const last = (await Promise.all(ends)).at(-1);
    assert.ok(last instanceof Fault);
    assert.deepEqual([last.kind, last.written], ["unavailable", "no"]);
  });
});

describe("leaders of a cluster over sockets", () => {
  test("a killed leader is replaced without a timeout, because its connections are refused", async () => {
    await using cluster = await SocketCluster.open(3, withoutTimeouts);
    await cluster.linked();
    const old = await cluster.leader();
    await logOf(old).append(run("before"));
    const term = old.up!.replica.node.term;
    await cluster.kill(old);
    const next = await cluster.leader();
    assert.notEqual(next, old);
    assert.ok(next.up!.replica.node.term > term);
    await logOf(next).append(run("after"));
    await cluster.restart(old);
    await has(old, 2);
  });

  test("a leader stays the leader when its connections are reset", async () => {
    await using cluster = await SocketCluster.open(3, withoutTimeouts);
    await cluster.linked();
    const leader = await cluster.leader();
    const { term } = leader.up!.replica.node;
    for (let sequence = 0; sequence < 5; sequence++) {
      cluster.reset(leader);
      const producer = { subject: "s", id: 1n, epoch: 0, sequence };
      await logOf(cluster.nodes[sequence % 3]!).append(run(`r${sequence}`), { producer });
      await cluster.linked();
    }
    assert.equal(await cluster.leader(), leader);
    assert.equal(leader.up!.replica.node.term, term);
    for (const node of cluster.nodes) await has(node, 5);
  });

  test("a follower forwards a request to transfer the leadership", async () => {
    await using cluster = await SocketCluster.open(3, withoutTimeouts);
    await cluster.linked();
    const leader = await cluster.leader();
    const [one, other] = cluster.followers(leader);
    one!.up!.replica.node.transferLeadership(other!.up!.replica.identity.peer);
    await until("the other leads", () => other!.up!.replica.ready);
    assert.equal(leader.up!.replica.ready, false);
  });

  test("a node whose clock differs by more than 10 s from all others does not campaign", async () => {
    await using cluster = await SocketCluster.open(3, {
      replica: { raft: { tickMs: 5, electionTicks: 60, heartbeatTicks: 4 } },
      network: { limits: { tickMs: 20 } },
    });
    await cluster.linked();
    const leader = await cluster.leader();
    const [wrong, right] = cluster.followers(leader);
    const trusted = (node: SocketNode): boolean => node.up!.network.mayCampaign();
    const handOver = (): void => leader.up!.replica.node.transferLeadership(wrong!.up!.replica.identity.peer);
    wrong!.clockOffMs = 20_000;
    await until("the difference is known", () => !trusted(wrong!));
    assert.equal(trusted(leader) && trusted(right!), true);
    await raftTick(wrong!);
    handOver();
    await until("the transfer has ended", () => leader.up!.replica.node.status().transferee === 0);
    assert.equal(leader.up!.replica.node.isLeader, true);
    wrong!.clockOffMs = 0;
    await until("the clock is trusted", () => trusted(wrong!));
    await raftTick(wrong!);
    handOver();
    await until("it leads", () => wrong!.up!.replica.ready);
  });

  test("a leader whose clock leaps transfers the leadership at once, deletes nothing and writes no future timestamps", async () => {
    const hour = 3_600_000;
    const { log, lines } = logLines();
    await using cluster = await SocketCluster.open(3, {
      replica: { raft: { tickMs: 5, electionTicks: 60, heartbeatTicks: 4 } },
      network: { limits: { tickMs: 20 } },
      settings: { retentionAgeMs: hour },
      logger: (node) => log.child({ node }),
    });
    await cluster.linked();
    const leader = await cluster.leader();
    const { replica } = leader.up!;
    await logOf(leader).append(run("old"));
    await until("the clocks are compared", () => replica.time.status().kind === "trusted");
    leader.clockOffMs = 2 * hour;
    const { timestampMs } = await logOf(leader).append(run("new"));
    assert.ok(timestampMs <= Date.now() + 10_000);
    await until("the leadership is transferred", () => !replica.ready && replica.node.leader !== undefined);
    const next = await cluster.leader();
    assert.notEqual(next.name, leader.name);
    const said = lines.filter(({ message }) => /^the clock is more than 10\.0 s off/.test(message));
    assert.deepEqual(
      said.map(({ facts, level }) => [facts["node"], level]),
      [[leader.name, "warn"]],
    );
    for (const node of [leader, next]) await expiryChecked(node, next);
    for (const node of cluster.nodes) assert.equal(node.up!.replica.storedLog.bounds.lowest, 0);
    leader.clockOffMs = 0;
    await until("the clock is trusted again", () => replica.time.status().kind === "trusted");
  });

  test("a leader stays the leader and deletes nothing when all clocks leap", async () => {
    const hour = 3_600_000;
    await using cluster = await SocketCluster.open(3, {
      ...withoutTimeouts,
      network: { limits: { tickMs: 20 } },
      settings: { retentionAgeMs: hour },
    });
    await cluster.linked();
    const leader = await cluster.leader();
    const { time, node } = leader.up!.replica;
    await logOf(leader).append(run("old"));
    await until("the clocks are compared", () => time.status().kind === "trusted");
    for (const one of cluster.nodes) one.clockOffMs = 2 * hour;
    await until("the leap is known", () => time.status().kind === "set");
    await expiryChecked(leader, leader);
    assert.equal(node.isLeader, true);
    assert.equal(leader.up!.replica.storedLog.bounds.lowest, 0);
  });
});

describe("members of a cluster over sockets", () => {
  test("a follower that lacks trimmed records gets a snapshot, then entries", async () => {
    await using cluster = await SocketCluster.open(3, { settings: { segmentStoreBytesMax: 600 } });
    const leader = await cluster.leader();
    const [behind] = cluster.followers(leader);
    await cluster.kill(behind!);
    for (let n = 0; n < 40; n++) await logOf(leader).append(run(`v${n}`));
    await logOf(leader).trim(30);
    const { storedLog } = leader.up!.replica;
    await until("the segments are deleted", () => storedLog.firstIndex > 20);
    await cluster.restart(behind!);
    await has(behind!, 40);
    const { lowest } = behind!.up!.replica.storedLog.bounds;
    assert.equal(lowest, 30);
    await logOf(behind!).append(run("more"));
    assert.deepEqual((await allValues(logOf(behind!))).slice(-2), ["v39", "more"]);
  });

  test("a node with a member's name and an empty directory gets no channel, learns the reason, and can send requests", async () => {
    await using cluster = await SocketCluster.open(3, withoutTimeouts);
    await cluster.linked();
    const leader = await cluster.leader();
    const [wiped] = cluster.followers(leader);
    await cluster.kill(wiped!);
    await using empty = await openPeer(wiped!.name, {}, { clusterId: "c0ffee", configured: false });
    const { name, address } = leader;
    empty.setMembers({ ...empty.hello, name, address, directory: directoryOf(name) });
    await until("it is refused", () => empty.network.peers()[0]?.refused !== undefined);
    assert.match(empty.network.peers()[0]!.refused!, /the member n\d has directory/);
    assert.equal((await empty.network.probe(address)).name, name);
    assert.deepEqual(await empty.network.ask(address, "join", 1), { verb: "join", body: 1 });
  });

  test("a node without a configuration responds to the leader that adds it, and becomes a learner, then a voter", async () => {
    await using cluster = await SocketCluster.open(1);
    const leader = cluster.nodes[0]!.up!.replica;
    const joining = await cluster.add("n1");
    joining.clusterId = "c0ffee";
    const { replica, network } = joining.up!;
    replica.start();
    const { member } = replica;
    const change = (action: "learner" | "voter") =>
      leader.node.proposeChange({
        transition: "auto",
        changes: [{ action, peer: member.peer }],
        members: [member],
      });
    await leader.log.append(run("before"));
    await change("learner");
    await until("the learner has all records", () => replica.storedLog.bounds.next === 1);
    await change("voter");
    // From now on a record needs both nodes.
    await leader.log.append(run("after"));
    await until("the new voter has all records", () => replica.storedLog.bounds.next === 2);
    assert.equal(replica.configured, true);
    assert.deepEqual(
      network.peers().map(({ name }) => name),
      ["n0"],
    );
  });
});
