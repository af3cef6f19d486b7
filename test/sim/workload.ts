/** Starts the actions of a run: clients, operators that change the cluster, and faults. */
import type { Prng } from "../../src/lib/prng.ts";
import { startClient } from "./clients/clients.ts";
import { commitOldCursors, startCursorClients } from "./clients/cursor-clients.ts";
import { startLogClients } from "./clients/log-clients.ts";
import { startMultiClients } from "./clients/multi-clients.ts";
import { startNamedClients } from "./clients/named-clients.ts";
import { startStreams } from "./clients/stream-clients.ts";
import type { SimCluster } from "./cluster/sim-cluster.ts";
import { memberOf } from "./cluster/sim-members.ts";
import type { SimServer } from "./cluster/sim-server.ts";
import { compareClocks, leap } from "./faults/clock-leaps.ts";
import { alternateLeaders, figureEight } from "./faults/leader-changes.ts";
import { crashSome, cutOneWay, narrow, partition, refuse } from "./faults/random-faults.ts";
import { repeatAtRandom } from "./faults/repeat-at-random.ts";
import type { Swarm } from "./faults/swarm.ts";
import {
  injectAtCriticalEvents,
  overloadAndSilence,
  stallDisk,
  transferToUnreachable,
} from "./faults/targeted-faults.ts";
import type { ConfChange, PeerChange, PeerId } from "./raft.ts";

const hasOldCursors = ({ realLog, namedLogs, oldCursors }: Swarm): boolean =>
  realLog && namedLogs && oldCursors;

/** What happens before clients and faults begin. */
export async function prepare(cluster: SimCluster): Promise<void> {
  if (hasOldCursors(cluster.swarm)) await commitOldCursors(cluster, cluster.random.stream("old-cursors"));
}

export function startWorkload(cluster: SimCluster): void {
  const { swarm, random } = cluster;
  for (let client = 1; client <= swarm.clients; client++)
    startClient(cluster, client, random.stream(`client/${client}`));
  if (swarm.realLog) startLogClients(cluster, random.stream("log-clients"));
  if (swarm.realLog && swarm.namedLogs) {
    startNamedClients(cluster, random.stream("named"));
    startMultiClients(cluster, random.stream("multi"));
    startCursorClients(cluster, random.stream("cursors"));
  }
  if (swarm.realLog && swarm.streams) {
    for (let id = 1; id <= 2; id++) startStreams(cluster, id, random.stream(`streams/${id}`));
  }
  // The name selects a stream of random numbers. A new name changes the events of every seed.
  const act = (name: string, enabled: boolean, meanMs: number, action: (random: Prng) => void): void => {
    const own = random.stream(name);
    if (enabled) repeatAtRandom(cluster, own, meanMs, () => action(own));
  };
  act("crash", swarm.crashes, 2500, (own) => crashSome(cluster, own));
  act("pause", swarm.pauses, 3000, (own) => cluster.pickRunning(own)?.clock.pause(own.between(100, 4000)));
  act("partition", swarm.partitions, 2500, (own) => partition(cluster, own));
  act("rivals", swarm.alternateLeaders, 2000, (own) => alternateLeaders(cluster, own));
  act("figure-8", swarm.alternateLeaders, 800, (own) => figureEight(cluster, own));
  act("narrow", swarm.narrowLinks, 2000, (own) => narrow(cluster, own));
  if (swarm.targetedFaults) injectAtCriticalEvents(cluster, random.stream("strikes"));
  act("one-way", swarm.oneWayCuts, 2500, (own) => cutOneWay(cluster, own));
  act("sync-failure", swarm.failingSyncs, 5000, (own) => {
    const server = cluster.pickRunning(own);
    if (server === undefined) return;
    server.faults.failNext = true;
    cluster.trace.mark("sync-failed");
  });
  act("disk-full", swarm.fullDisks, 5000, (own) => {
    const server = cluster.pickRunning(own);
    if (server === undefined) return;
    server.faults.fullUntil = cluster.time.now + own.between(100, 3000);
    cluster.trace.mark("disk-full");
  });
  act("stall", swarm.stalls, 3000, (own) => stallDisk(cluster, own));
  act("removal", swarm.churn, 2000, (own) => removeLeader(cluster, own));
  act("churn", swarm.churn, 1200, (own) => changeConfiguration(cluster, own));
  act("transfer", swarm.transfers, 1500, (own) => transfer(cluster, own));
  if ((swarm.clockLeaps || hasOldCursors(swarm)) && swarm.realLog) compareClocks(cluster);
  act("clock-leap", swarm.clockLeaps, 3000, (own) => leap(cluster, own));
  act("compaction", swarm.compaction, 700, (own) => {
    const server = cluster.pickRunning(own);
    if (server !== undefined) cluster.runInProcess(server, () => server.replica.compact());
  });
  act("trim", swarm.compaction, 1500, (own) => {
    const server = own.chance(0.5) ? cluster.leader() : cluster.pickRunning(own);
    if (!cluster.quiet && server !== undefined) cluster.checker.trimmedTo(server.replica.trim());
  });
  const { backups } = cluster;
  act("backup", backups !== undefined, 500, (own) => backups?.writeSome(own));
  act("restore", backups !== undefined, 2500, () => backups?.restoreOne());
  act("bucket-cut", backups !== undefined, 1000, (own) => backups?.cutSome(own));
  act("bucket-down", backups !== undefined, 4000, (own) => backups?.bucket.failFor(own.between(100, 2000)));
  // While operators remove other servers, a rollback would leave too few.
  const rollsBack = swarm.rollbacks && swarm.realLog && !swarm.churn;
  if (rollsBack) cluster.identity.startPings();
  act("rollback", rollsBack, 400, (own) => cluster.identity.rollBackSome(own));
  act("refused", swarm.refusedConnections, 1500, (own) => refuse(cluster, own));
}

function transfer(cluster: SimCluster, random: Prng): void {
  const leader = cluster.leader();
  if (leader === undefined) return;
  const to = random.pick([...cluster.servers.keys()]);
  cluster.trace.event(`${leader.peer} is to hand over to ${to}`);
  leader.node.transferLeadership(to);
}

const peersMax = 12;

/**
 * Proposes one random change that mostly makes sense: join, promote, demote, remove, several at once, or leave a joint
 * configuration.
 */
function changeConfiguration(cluster: SimCluster, random: Prng): void {
  const leader = cluster.leader();
  if (leader === undefined) return;
  const { configuration } = leader.node;
  const { voters, learners, votersOutgoing } = configuration;
  if (votersOutgoing.length > 0) {
    if (!configuration.autoLeave) propose(cluster, leader, { transition: "auto", changes: [] });
    return;
  }
  const changes: PeerChange[] = [];
  const joining: PeerId[] = [];
  const count = random.chance(0.4) ? 2 : 1;
  for (let left = count; left > 0; left--) {
    const draw = random.float();
    const peer = leader.node.nextPeer + joining.length;
    if (draw < 0.35 && peer <= peersMax && voters.length + learners.length < 7) {
      changes.push({ action: random.chance(0.3) ? "voter" : "learner", peer });
      joining.push(peer);
    } else if (draw < 0.6 && learners.length > 0) {
      changes.push({ action: "voter", peer: random.pick(learners) });
    } else if (draw < 0.75 && voters.length > 1) {
      changes.push({ action: "learner", peer: random.pick(voters) });
    } else if (voters.length > 1) {
      changes.push({
        action: "remove",
        peer: random.pick(random.chance(0.5) ? voters : [...voters, ...learners]),
      });
    }
  }
  const touched = new Set(changes.map((change) => change.peer));
  if (changes.length === 0 || touched.size < changes.length) return;
  const removed = changes.filter(({ action }) => action !== "voter").map((change) => change.peer);
  if (!voters.some((peer) => !removed.includes(peer))) return;
  for (const peer of joining) join(cluster, peer, random);
  const transition = random.pick(["auto", "auto", "implicit", "implicit", "explicit"] as const);
  propose(cluster, leader, { transition, changes, members: joining.map(memberOf) });
  if (random.chance(0.4)) transferDuringChange(cluster, leader, random);
}

/** Adds an empty server, which can lose power once more before it has joined. */
function join(cluster: SimCluster, peer: PeerId, random: Prng): void {
  if (cluster.servers.has(peer)) return;
  const server = cluster.add(peer);
  const { delayMs, syncMs, powerCuts } = cluster.swarm;
  if (!powerCuts || random.chance(0.6)) return;
  const wait = random.float() * (16 * delayMs + 8 * syncMs + 20);
  cluster.time.after(wait, () =>
    cluster.guard(() => {
      if (cluster.healed) return;
      cluster.crash(server, true);
      cluster.time.after(random.between(1, 100), () => cluster.guard(() => cluster.restart(server)));
    }),
  );
}

/** Transfers leadership to a random server while the change is in progress. */
function transferDuringChange(cluster: SimCluster, leader: SimServer, random: Prng): void {
  const wait = random.float() * (4 * cluster.swarm.delayMs + 2 * cluster.swarm.syncMs);
  const isUnreachable = random.chance(0.5);
  cluster.time.after(wait, () =>
    cluster.guard(() => {
      if (isUnreachable) transferToUnreachable(cluster, leader, random);
      else leader.node?.transferLeadership(random.pick([...cluster.servers.keys()]));
    }),
  );
}

/** Removes the leader while it is written to, and stops it slightly too early. */
function removeLeader(cluster: SimCluster, random: Prng): void {
  const leader = cluster.leader();
  if (leader === undefined) return;
  const { voters, votersOutgoing } = leader.node.configuration;
  if (votersOutgoing.length > 0) return;
  const changes: PeerChange[] = [{ action: random.chance(0.5) ? "remove" : "learner", peer: leader.peer }];
  const joining: PeerId[] = [];
  if (voters.length < 2 || (voters.length < 4 && random.chance(0.3))) {
    // All members of a small group are removed, and a new server replaces them.
    const peer = leader.node.nextPeer;
    if (peer > peersMax) return;
    for (const other of voters) if (other !== leader.peer) changes.push({ action: "remove", peer: other });
    changes.unshift({ action: "voter", peer });
    joining.push(peer);
    join(cluster, peer, random);
  }
  propose(cluster, leader, { transition: "auto", changes, members: joining.map(memberOf) });
  if (random.chance(0.3)) return;
  const wait = random.float() * 8 * cluster.swarm.delayMs;
  cluster.time.after(wait, () => cluster.guard(() => overloadAndSilence(cluster, leader, random)));
}

function propose(cluster: SimCluster, leader: SimServer, change: ConfChange): void {
  cluster.trace.event(
    `${leader.peer} is to change: ${change.transition} ${change.changes.map(({ action, peer }) => `${action} ${peer}`)}`,
  );
  cluster.onCriticalEvent(leader, true);
  leader.node?.proposeChange(change).then(
    () => cluster.trace.mark("configuration-changed"),
    () => {},
  );
}
