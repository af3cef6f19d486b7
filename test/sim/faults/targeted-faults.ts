/**
 * Faults against one server, alone or at the time of a critical event: a burst of writes before it is silenced, a stalled
 * disk, a crash that loses unsynced state, a transfer of leadership to an unreachable server.
 */
import type { Prng } from "../../../src/lib/prng.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import { burst, crashAndRestart, cutOutgoing, isolate, narrowLinksOf } from "./fault-steps.ts";

/** Stalls a disk for seconds. Often the leader fails at the same time. */
export function stallDisk(cluster: SimCluster, random: Prng): void {
  const server = cluster.pickRunning(random);
  if (server === undefined) return;
  server.faults.stallsUntil = cluster.time.now + random.between(300, 4000);
  cluster.trace.event(`the disk of ${server.peer} stands still`);
  cluster.trace.mark("stall");
  const leader = cluster.leader();
  if (leader === undefined || leader.peer === server.peer || random.chance(0.4)) return;
  burst(cluster, leader, random);
  cluster.time.after(random.between(0, 300), () => cluster.guard(() => injectFault(cluster, leader, random)));
}

/** Writes a burst to a server and cuts its outgoing links. It may also crash. */
export function overloadAndSilence(cluster: SimCluster, server: SimServer, random: Prng): void {
  burst(cluster, server, random);
  const wait = random.chance(0.5) ? 0 : random.float() * 2 * cluster.swarm.delayMs;
  cluster.time.after(wait, () => cluster.healed || cutOutgoing(cluster, server.peer));
  if (random.chance(0.6)) {
    cluster.time.after(random.between(0, 200), () =>
      cluster.guard(() => crashAndRestart(cluster, server, random)),
    );
  }
  cluster.time.after(random.between(300, 3000), () => cluster.network.heal());
}

/**
 * Crashes a server whose state is only in memory: its disk stalls now, its links mostly carry only small messages, and
 * then it loses power.
 */
function stallAndCrash(cluster: SimCluster, server: SimServer, random: Prng): void {
  const { swarm, time } = cluster;
  const wait = random.float() * (6 * swarm.delayMs + 4 * swarm.syncMs + 20);
  server.faults.stallsUntil = time.now + wait + 1;
  cluster.trace.mark("stall-then-crash");
  narrowLinksOf(cluster, server, random, 0);
  time.after(wait, () =>
    cluster.guard(() => {
      if (cluster.healed) return;
      cluster.crash(server, swarm.powerCuts);
      time.after(random.chance(0.7) ? 1 : random.between(100, 2000), () =>
        cluster.guard(() => cluster.restart(server)),
      );
    }),
  );
  time.after(random.between(300, 3000), () => cluster.network.heal());
}

/** Transfers leadership to a server that the leader cannot reach. */
export function transferToUnreachable(cluster: SimCluster, server: SimServer, random: Prng): void {
  const voters = server.node?.configuration.voters.filter((peer) => peer !== server.peer) ?? [];
  if (cluster.healed || voters.length === 0) return;
  const chosen = random.pick(voters);
  cluster.network.split([server.peer], [chosen]);
  server.node?.transferLeadership(chosen);
  cluster.time.after(random.between(300, 3000), () => cluster.network.heal());
}

/**
 * Injects a fault when the state of a server has just changed. Then the change is half done, and most likely no other
 * server has learned of it.
 */
export function injectAtCriticalEvents(cluster: SimCluster, random: Prng): void {
  cluster.onCriticalEvent = (server, rare) => {
    if (cluster.healed || !random.chance(rare ? 0.4 : 0.2)) return;
    if (random.chance(rare ? 0.1 : 0.4)) {
      stallAndCrash(cluster, server, random);
      return;
    }
    if (rare && random.chance(0.2) && server.replica.cutSoon !== undefined && cluster.swarm.powerCuts) {
      server.replica.cutSoon();
      return;
    }
    const wait = random.chance(0.4) ? 0 : random.float() * 3 * cluster.swarm.delayMs;
    cluster.time.after(wait, () => cluster.guard(() => injectFault(cluster, server, random)));
  };
}

function injectFault(cluster: SimCluster, server: SimServer, random: Prng): void {
  if (cluster.healed || server.node === undefined) return;
  const { peer } = server;
  cluster.trace.mark("targeted-fault");
  switch (random.between(0, 5)) {
    case 0:
      crashAndRestart(cluster, server, random);
      return;
    case 1:
      isolate(cluster, peer);
      break;
    case 2:
      burst(cluster, server, random);
      narrowLinksOf(cluster, server, random, 2);
      break;
    case 3:
      transferToUnreachable(cluster, server, random);
      return;
    default:
      overloadAndSilence(cluster, server, random);
      return;
  }
  cluster.time.after(random.between(300, 3000), () => cluster.network.heal());
}
