/** The steps that the faults are made of: isolate a server, write a burst to it, stop it. */
import type { Prng } from "../../../src/lib/prng.ts";
import { write } from "../clients/clients.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import type { PeerId } from "../raft.ts";

/** Cuts all links of a server. */
export function isolate(cluster: SimCluster, peer: PeerId): void {
  cluster.network.split([peer], others(cluster, peer));
  cluster.trace.event(`${peer} is alone`);
}

/** Cuts the outgoing links of a server. It still receives. */
export function cutOutgoing(cluster: SimCluster, peer: PeerId): void {
  for (const other of others(cluster, peer)) cluster.network.cut(peer, other);
  cluster.trace.event(`${peer} is not heard any more`);
}

export function burst(cluster: SimCluster, server: SimServer, random: Prng, count = drawBurst(random)): void {
  if (cluster.quiet) return;
  for (let left = count; left > 0; left--) write(cluster, server, cluster.nextValue("r"), random);
}

const drawBurst = (random: Prng): number => (random.chance(0.4) ? 0 : random.between(1, 9));

export function crashAndRestart(cluster: SimCluster, server: SimServer, random: Prng): void {
  cluster.crash(server, cluster.swarm.powerCuts);
  const back = random.chance(0.4) ? random.between(1, 100) : random.between(500, 2500);
  cluster.time.after(back, () => cluster.guard(() => cluster.restart(server)));
}

export const others = (cluster: SimCluster, peer: PeerId): PeerId[] =>
  [...cluster.servers.keys()].filter((other) => other !== peer);

/** Makes a share of all links narrow. Each can carry up to `afterMax` large messages before. */
export function narrowSome(cluster: SimCluster, random: Prng, share: number, afterMax = 0): void {
  const peers = [...cluster.servers.keys()];
  for (const from of peers) {
    for (const to of peers) {
      if (from === to || !random.chance(share)) continue;
      cluster.network.narrow(from, to, afterMax === 0 ? 0 : random.between(0, afterMax));
    }
  }
  cluster.trace.event("some links swallow what is large");
  cluster.trace.mark("narrow-links");
}

/** Most links of a server lose its large messages, some after a few. */
export function narrowLinksOf(
  cluster: SimCluster,
  { peer }: SimServer,
  random: Prng,
  afterMax: number,
): void {
  for (const other of others(cluster, peer)) {
    if (random.chance(0.8)) cluster.network.narrow(peer, other, random.between(0, afterMax));
  }
}
