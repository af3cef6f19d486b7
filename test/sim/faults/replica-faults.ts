/** The faults of the disk of one server, at the present time of the run. */
import type { Prng } from "../../../src/lib/prng.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import type { Swarm } from "./swarm.ts";

export function replicaFaults(
  cluster: { readonly swarm: Swarm; readonly healed: boolean; readonly time: { readonly now: number } },
  random: Prng,
): SimServer["faults"] {
  const { swarm, time } = cluster;
  const faults = {
    fullUntil: 0,
    stallsUntil: 0,
    failNext: false,
    full: (): boolean => time.now < faults.fullUntil,
    syncMs: (): number => {
      if (cluster.healed) return Math.min(1, swarm.syncMs);
      if (time.now < faults.stallsUntil) return faults.stallsUntil - time.now;
      if (swarm.slowSyncs && random.chance(0.02)) return random.between(100, 1500);
      return swarm.syncMs === 0 ? 0 : random.float() * 2 * swarm.syncMs;
    },
  };
  return faults;
}
