import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../src/fault.ts";
import { delay, systemClock } from "../../src/lib/time/clock.ts";
import { logLines } from "../support/log-lines.ts";
import { allValues, run } from "../support/logs.ts";
import { openPeer } from "../support/peer-node.ts";
import { until } from "../support/replicas.ts";
import { directoryOf, SocketCluster, type SocketNode } from "../support/socket-cluster.ts";

/** Nobody's patience with a leader ever ends by itself. */
const patient = { replica: { raft: { tickMs: 5, electionTicks: 1_000_000, heartbeatTicks: 4 } } };

const logOf = ({ up }: SocketNode) => up!.replica.log;
const has = (node: SocketNode, count: number): Promise<boolean> =>
  until(`${node.name} has ${count} records`, () => node.up!.replica.storedLog.bounds.next === count);

/** Resolves once a node has looked twice for what is too old. */
async function lookedAfter(node: SocketNode, leader: SocketNode): Promise<void> {
  const { time } = node.up!.network;
  let looks = 0;
  const expiryMs = time.expiryMs.bind(time);
  time.expiryMs = () => {
    looks++;
    return expiryMs();
  };
  for (const count of [1, 2]) {
    await logOf(leader).append(run("look"));
    await until(`${node.name} has looked for what is too old`, () => looks >= count);
  }
}

describe("a cluster over sockets", () => {
  test("every node takes appends, and all come to hold the same", async () => {
    await using cluster = await SocketCluster.open(3);
    await cluster.linked();
    const values = Array.from({ length: 90 }, (_, at) => `v${at}`);
    await Promise.all(values.map((value, at) => logOf(cluster.nodes[at % 3]!).append(run(value))));
    for (const node of cluster.nodes) await has(node, 90);
    const [first, ...rest] = await Promise.all(cluster.nodes.map((node) => allValues(logOf(node))));
    assert.deepEqual(first!.toSorted(), values.toSorted());
    for (const found of rest) assert.deepEqual(found, first);
  });

  test("what a follower was answered it shows at once", async () => {
    await using cluster = await SocketCluster.open(3);
    const [follower] = cluster.followers(await cluster.leader());
    for (let n = 0; n < 50; n++) {
      const { firstOffset } = await logOf(follower!).append(run(`v${n}`));
      await logOf(follower!).read(firstOffset, { mode: "any" });
    }
  });

  test("a killed leader is replaced because nobody listens there: no timeout is needed for it", async () => {
    await using cluster = await SocketCluster.open(3, patient);
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

  test("connections that are reset cost no leader its office", async () => {
    await using cluster = await SocketCluster.open(3, patient);
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

  test("an append with a producer is sent again when its answer was lost, and is there once", async () => {
    await using cluster = await SocketCluster.open(3, patient);
    await cluster.linked();
    const leader = await cluster.leader();
    const [follower] = cluster.followers(leader);
    const appends: Promise<unknown>[] = [];
    for (let sequence = 0; sequence < 40; sequence++) {
      const producer = { subject: "s", id: 1n, epoch: 0, sequence };
      const append = logOf(follower!).append(run(`p${sequence}`), { producer });
      appends.push(append);
      if (sequence % 6 === 0) {
        // While it is on its way, somewhere.
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

  test("an append without one is not sent again once it may be there", async () => {
    await using cluster = await SocketCluster.open(3, patient);
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

  test("what waits for room on a node that closes is refused as not written, and for that reason", async () => {
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

  test("a follower that lacks what was trimmed gets the log's start, then entries, over the bulk lane", async () => {
    await using cluster = await SocketCluster.open(3, { settings: { segmentStoreBytesMax: 600 } });
    const leader = await cluster.leader();
    const [behind] = cluster.followers(leader);
    await cluster.kill(behind!);
    for (let n = 0; n < 40; n++) await logOf(leader).append(run(`v${n}`));
    await logOf(leader).trim(30);
    const { storedLog } = leader.up!.replica;
    await until("the files are gone", () => storedLog.firstIndex > 20);
    await cluster.restart(behind!);
    await has(behind!, 40);
    const { lowest } = behind!.up!.replica.storedLog.bounds;
    assert.equal(lowest, 30);
    await logOf(behind!).append(run("more"));
    assert.deepEqual((await allValues(logOf(behind!))).slice(-2), ["v39", "more"]);
  });

  test("leadership is handed over when a follower is asked for it", async () => {
    await using cluster = await SocketCluster.open(3, patient);
    await cluster.linked();
    const leader = await cluster.leader();
    const [one, other] = cluster.followers(leader);
    one!.up!.replica.node.transferLeadership(other!.up!.replica.identity.peer);
    await until("the other leads", () => other!.up!.replica.ready);
    assert.equal(leader.up!.replica.ready, false);
  });

  test("a node whose clock is 10 s off all others does not campaign until it is right", async () => {
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
    await until("it is noticed", () => !trusted(wrong!));
    assert.equal(trusted(leader) && trusted(right!), true);
    await delay(systemClock, 20);
    handOver();
    await until("the hand-over is given up", () => leader.up!.replica.node.status().transferee === 0);
    assert.equal(leader.up!.replica.node.isLeader, true);
    wrong!.clockOffMs = 0;
    await until("it is right", () => trusted(wrong!));
    await delay(systemClock, 20);
    handOver();
    await until("it leads", () => wrong!.up!.replica.ready);
  });

  test("a leader whose clock leaps hands over at once, trims nothing and stamps no future times", async () => {
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
    await until("it has handed over", () => !replica.ready && replica.node.leader !== undefined);
    const next = await cluster.leader();
    assert.notEqual(next.name, leader.name);
    const said = lines.filter(({ message }) => /^the clock is more than 10\.0 s off/.test(message));
    assert.deepEqual(
      said.map(({ facts, level }) => [facts["node"], level]),
      [[leader.name, "warn"]],
    );
    for (const node of [leader, next]) await lookedAfter(node, next);
    for (const node of cluster.nodes) assert.equal(node.up!.replica.storedLog.bounds.lowest, 0);
    leader.clockOffMs = 0;
    await until("it is trusted again", () => replica.time.status().kind === "trusted");
  });

  test("where every clock leaps the leader leads on, and trims nothing", async () => {
    const hour = 3_600_000;
    await using cluster = await SocketCluster.open(3, {
      ...patient,
      network: { limits: { tickMs: 20 } },
      settings: { retentionAgeMs: hour },
    });
    await cluster.linked();
    const leader = await cluster.leader();
    const { time, node } = leader.up!.replica;
    await logOf(leader).append(run("old"));
    await until("the clocks are compared", () => time.status().kind === "trusted");
    for (const one of cluster.nodes) one.clockOffMs = 2 * hour;
    await until("it is noticed", () => time.status().kind === "set");
    await lookedAfter(leader, leader);
    assert.equal(node.isLeader, true);
    assert.equal(leader.up!.replica.storedLog.bounds.lowest, 0);
  });

  test("an empty directory under a member's name gets no lane of Raft's, and is told why; it may ask", async () => {
    await using cluster = await SocketCluster.open(3, patient);
    await cluster.linked();
    const leader = await cluster.leader();
    const [wiped] = cluster.followers(leader);
    await cluster.kill(wiped!);
    await using empty = await openPeer(wiped!.name, {}, { clusterId: "c0ffee", configured: false });
    const { name, address } = leader;
    empty.know({ ...empty.hello, name, address, directory: directoryOf(name) });
    await until("it is told", () => empty.network.peers()[0]?.refused !== undefined);
    assert.match(empty.network.peers()[0]!.refused!, /the member n\d has directory/);
    assert.equal((await empty.network.probe(address)).name, name);
    assert.deepEqual(await empty.network.ask(address, "join", 1), { verb: "join", body: 1 });
  });
});
