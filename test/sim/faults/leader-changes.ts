/** Faults that change the leader repeatedly. */
import type { Prng } from "../../../src/lib/prng.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import type { PeerId } from "../raft.ts";
import { burst, crashAndRestart, cutOutgoing, isolate, narrowSome, others } from "./fault-steps.ts";

/**
 * Replaces leaders one after the other. The writes of each reach at most one other server. Then the leader is silenced,
 * isolated or stopped, or it transfers leadership, often to the leader before it. So logs diverge as in the figures of the
 * Raft paper.
 */
export function alternateLeaders(cluster: SimCluster, random: Prng): void {
  if (cluster.servers.size < 3 || cluster.leadersAlternate) return;
  cluster.leadersAlternate = true;
  let turns = random.between(2, 7);
  const turn = (before: PeerId, attempts: number): void => {
    if (cluster.healed) return;
    const leader = cluster.leader();
    if (turns === 0 || attempts === 0) {
      cluster.leadersAlternate = false;
      cluster.network.heal();
    } else if (leader === undefined || leader.peer === before) {
      cluster.time.after(20, () => cluster.guard(() => turn(before, attempts - 1)));
    } else {
      turns--;
      cluster.trace.mark("alternating-leaders");
      const target = narrowAllButOne(cluster, leader, before, random);
      burst(cluster, leader, random);
      const wait = random.chance(0.5) ? random.between(0, 60) : random.between(60, 400);
      cluster.time.after(wait, () => cluster.guard(() => leave(leader, target)));
      cluster.time.after(wait + 10, () => cluster.guard(() => turn(leader.peer, 100)));
    }
  };
  const leave = (leader: SimServer, target: PeerId): void => {
    if (cluster.healed || leader.node === undefined) return;
    const draw = random.float();
    if (draw < 0.15) crashAndRestart(cluster, leader, random);
    else if (draw < 0.3) isolate(cluster, leader.peer);
    else if (draw < 0.5) cutOutgoing(cluster, leader.peer);
    else leader.node.transferLeadership(target);
  };
  turn(0, 100);
}

/** Makes all links narrow except one, from this leader to a target, often the previous leader. */
function narrowAllButOne(cluster: SimCluster, leader: SimServer, before: PeerId, random: Prng): PeerId {
  const { network } = cluster;
  network.heal();
  narrowSome(cluster, random, 1);
  const back = cluster.servers.has(before) && random.chance(0.7);
  const target = back ? before : random.pick(others(cluster, leader.peer));
  // Of several entries, only the first may arrive.
  if (random.chance(0.3)) network.narrow(leader.peer, target, random.between(1, 4));
  else network.open(leader.peer, target);
  return target;
}

/**
 * Plays figure 8 of the Raft paper. The writes of a leader reach one other server. A second leader, elected by the rest,
 * overwrites them on the first leader only, and transfers leadership to it. The new writes of the first reach no server.
 * Then those two are isolated, and the server with the oldest writes can lead.
 */
export function figureEight(cluster: SimCluster, random: Prng): void {
  const first = cluster.leader();
  if (first === undefined || cluster.leadersAlternate || first.node.configuration.voters.length < 5) return;
  cluster.leadersAlternate = true;
  const { network, time } = cluster;
  const end = (): void => {
    cluster.leadersAlternate = false;
    network.heal();
  };
  const later = (ms: number, act: () => void): void => {
    time.after(ms, () => cluster.guard(cluster.healed ? end : act));
  };
  const whenLed = (
    fits: (peer: PeerId) => boolean,
    act: (leader: SimServer) => void,
    attempts = 100,
  ): void => {
    const leader = cluster.leader();
    if (leader !== undefined && fits(leader.peer)) act(leader);
    else if (attempts === 0) end();
    else later(20, () => whenLed(fits, act, attempts - 1));
  };
  const others = (...those: PeerId[]): PeerId[] =>
    [...cluster.servers.keys()].filter((peer) => !those.includes(peer));
  const only = (from: PeerId, to: PeerId): void => {
    network.heal();
    narrowSome(cluster, random, 1);
    network.open(from, to);
  };
  const third = random.pick(others(first.peer));
  only(first.peer, third);
  burst(cluster, first, random, random.between(2, 9));
  later(3 * cluster.swarm.delayMs + 20, () => {
    network.split([first.peer, third], others(first.peer, third));
    whenLed(
      (peer) => peer !== first.peer && peer !== third,
      (second) => {
        only(second.peer, first.peer);
        network.split([third], others(third));
        later(5 * cluster.swarm.delayMs + 20, () => second.node?.transferLeadership(first.peer));
        whenLed(
          (peer) => peer === first.peer,
          () => {
            narrowSome(cluster, random, 1);
            burst(cluster, first, random, random.between(0, 3));
            later(30, () => {
              cluster.trace.mark("figure-8");
              network.heal();
              network.split([first.peer, second.peer], others(first.peer, second.peer));
              whenLed(
                (peer) => peer !== first.peer && peer !== second.peer,
                () => later(300, end),
              );
            });
          },
        );
      },
    );
  });
}
