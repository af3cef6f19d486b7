/** Clients that write unique values and read, and record the results. They use only what a client can see. */
import type { Prng } from "../../../src/lib/prng.ts";
import type { Write } from "../checks/history.ts";
import { writtenOf } from "../checks/history.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import { repeatAtRandom } from "../faults/repeat-at-random.ts";

/** Writes and reads one after the other, mostly on the current leader. */
export function startClient(cluster: SimCluster, client: number, random: Prng): void {
  let count = 0;
  const meanMs = random.pick([20, 100, 400]);
  repeatAtRandom(cluster, random, meanMs, () => {
    const server = random.chance(0.8)
      ? (cluster.leader() ?? cluster.pickRunning(random))
      : cluster.pickRunning(random);
    if (server?.node === undefined) return;
    if (random.chance(0.25)) {
      read(cluster, server);
      return;
    }
    if (cluster.quiet) return;
    for (let burst = random.chance(0.1) ? random.between(2, 12) : 1; burst > 0; burst--) {
      write(cluster, server, `c${client}-${++count}`, random);
    }
  });
}

/** Some writes are the only one of their producer, so that the log itself can retry them. */
export function write(cluster: SimCluster, server: SimServer, value: string, random: Prng): void {
  const write = cluster.history.invoke(value);
  const callbacks = {
    acked: (offset: number) => cluster.guard(() => acknowledged(cluster, server, write, offset)),
    failed: (fault: Error) => cluster.guard(() => cluster.history.failed(write, writtenOf(fault))),
  };
  const once = { subject: "once", id: BigInt(cluster.history.invoked), epoch: 0, sequence: 0 };
  server.replica.append(value, callbacks, random.chance(cluster.swarm.numbered) ? once : undefined);
}

/** Checks what must hold when a client receives an acknowledgment. */
export function acknowledged(cluster: SimCluster, server: SimServer, write: Write, offset: number): void {
  cluster.observe(server);
  const index = cluster.checker.acknowledgedAt(write.value, offset);
  // A follower that forwarded the write may not know the current voters. The leader's own response was checked there.
  if (index !== undefined && server.node?.isLeader === true) {
    cluster.checker.checkAcknowledged(server.observed, index, cluster.replicas());
  }
  cluster.trace.hash(`ack ${write.value} ${offset}`);
  cluster.history.acked(write, offset);
}

function read(cluster: SimCluster, server: SimServer): void {
  const floor = cluster.history.shown;
  server.replica.linearizableEnd((next) => cluster.guard(() => cluster.history.read(next, floor)));
}
