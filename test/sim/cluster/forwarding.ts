/**
 * Forwards writes from a follower to the leader: a request and a response on a connection that can be refused, lost or
 * late. A request arrives at most once. A request that may have arrived is reported as `written: "unknown"`.
 */
import { Fault } from "../../../src/fault.ts";
import type { Forwarder } from "../../../src/replication/forwarder.ts";
import type { ReplicatedLog } from "../../../src/replication/replicated-log.ts";
import type { Offset } from "../../../src/types.ts";
import { isDead } from "../../support/time/process-clock.ts";
import { peerNamed } from "./sim-members.ts";
import type { ClusterContext, SimServer } from "./sim-server.ts";

export function forwarderOf(cluster: ClusterContext, from: SimServer): Forwarder {
  return {
    append: (leader, run, { order: _, ...options }, signal) =>
      exchange(cluster, from, leader, signal, async (log, to) => {
        const appended = await log.append(run, { ...options, forward: false, forwarded: true });
        cluster.guard(() => durableOnMajority(cluster, to, appended.firstOffset));
        return appended;
      }),
    trim: (leader, before, options, signal) =>
      exchange(cluster, from, leader, signal, (log) => log.trim(before, { ...options, forward: false })),
    changeLog: (leader, change, options, signal) =>
      exchange(cluster, from, leader, signal, (log) =>
        log.named.change(change, { ...options, forward: false }),
      ),
  };
}

function exchange<T>(
  cluster: ClusterContext,
  from: SimServer,
  leader: string,
  signal: AbortSignal | undefined,
  call: (log: ReplicatedLog, to: SimServer) => Promise<T>,
): Promise<T> {
  const { network, servers } = cluster;
  const to = servers.get(peerNamed(leader));
  cluster.trace.mark("forwarded");
  return new Promise((resolve, reject) => {
    const { clock } = from;
    const refused = (): void => reject(new Fault("unavailable", { message: "the connection is refused" }));
    clock.after(cluster.swarm.forwardTimeoutMs, () =>
      reject(new Fault("unknown", { message: "no response from the leader", written: "unknown" })),
    );
    signal?.addEventListener("abort", () =>
      clock.soon(() =>
        reject(new Fault("interrupted", { message: "the leader was replaced", written: "unknown" })),
      ),
    );
    if (to === undefined) {
      refused();
      return;
    }
    const back = (settle: () => void): void => network.trip(to.peer, from.peer, () => clock.soon(settle));
    network.trip(from.peer, to.peer, () => {
      const { log } = to.replica;
      if (to.node === undefined || log === undefined) {
        back(refused);
        return;
      }
      to.clock.soon(() => {
        call(log, to).then(
          (value) => back(() => resolve(value)),
          (reason: unknown) => {
            if (!isDead(reason)) back(() => reject(reason as Error));
          },
        );
      });
    });
  });
}

function durableOnMajority(cluster: ClusterContext, leader: SimServer, offset: Offset): void {
  cluster.observe(leader);
  const index = cluster.checker.committed.get(offset)?.index;
  if (index !== undefined && leader.node?.isLeader === true) {
    cluster.checker.checkAcknowledged(leader.observed, index, cluster.replicas());
  }
}
