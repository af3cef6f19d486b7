/** Repeats an action at random times in the phase with faults. It ends in the healed phase. */
import type { Prng } from "../../../src/lib/prng.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";

/** Runs `act` repeatedly with exponential waits of mean `meanMs`, while the phase with faults lasts. */
export function repeatAtRandom(cluster: SimCluster, random: Prng, meanMs: number, act: () => void): void {
  const next = (): void => {
    cluster.time.after(-Math.log(1 - random.float()) * meanMs, () => {
      if (cluster.healed) return;
      cluster.guard(act);
      next();
    });
  };
  next();
}
