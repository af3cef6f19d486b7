/** Faults at random times: crashes, power cuts, cut and narrow links, refused connections. */
import type { Prng } from "../../../src/lib/prng.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import { narrowSome } from "./fault-steps.ts";

export function crashSome(cluster: SimCluster, random: Prng): void {
  const count = random.chance(0.15) ? cluster.servers.size : random.between(1, 2);
  for (let left = count; left > 0; left--) {
    const server = cluster.pickRunning(random);
    if (server === undefined) return;
    const powerCut = cluster.swarm.powerCuts && random.chance(0.7);
    if (powerCut && server.replica.cutSoon !== undefined && random.chance(0.5)) {
      server.replica.cutSoon();
      continue;
    }
    cluster.crash(server, powerCut);
    const back = random.chance(0.5) ? random.between(10, 200) : random.between(200, 4000);
    cluster.time.after(back, () => cluster.guard(() => cluster.restart(server)));
  }
}

export function partition(cluster: SimCluster, random: Prng): void {
  cluster.network.heal();
  if (random.chance(0.4)) {
    cluster.trace.event("the network is whole");
    return;
  }
  const peers = random.shuffle([...cluster.servers.keys()]);
  const size = random.chance(0.4) ? 1 : random.between(1, Math.max(1, peers.length - 1));
  cluster.trace.event(`the network splits: ${peers.slice(0, size)} | ${peers.slice(size)}`);
  cluster.trace.mark("split");
  cluster.network.split(peers.slice(0, size), peers.slice(size));
}

/**
 * Makes links narrow: they carry votes and heartbeats and lose large messages, as with a wrong path MTU. The leader stays
 * elected, and its writes reach only some servers.
 */
export function narrow(cluster: SimCluster, random: Prng): void {
  narrowSome(cluster, random, random.float(), random.chance(0.4) ? 3 : 0);
  cluster.time.after(random.between(300, 3000), () => cluster.network.heal());
}

export function cutOneWay(cluster: SimCluster, random: Prng): void {
  const peers = [...cluster.servers.keys()];
  const [from, to] = [random.pick(peers), random.pick(peers)];
  cluster.trace.event(`${from} is not heard by ${to} any more`);
  cluster.network.cut(from, to);
  cluster.time.after(random.between(200, 3000), () => cluster.network.heal());
}

/** A connection to the leader is refused, for a reason or by mistake. Some servers that follow it are notified. */
export function refuse(cluster: SimCluster, random: Prng): void {
  const leader = cluster.leader();
  const peer = leader?.peer ?? random.pick([...cluster.servers.keys()]);
  if (random.chance(0.5) && leader !== undefined) cluster.crash(leader, false);
  const server = cluster.servers.get(peer);
  if (server !== undefined)
    cluster.time.after(random.between(50, 1500), () => cluster.guard(() => cluster.restart(server)));
  for (const other of cluster.running()) if (random.chance(0.7)) other.node?.connectionRefused(peer);
}
