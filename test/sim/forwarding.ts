/**
 * Writes that travel from a follower to its leader: a request and an answer on a connection, which may be refused,
 * lost or late. A request arrives once at most.
 *
 * Never: says that nothing was written of what may have arrived.
 */
import { Fault } from "../../src/fault.ts";
import type { Forwarder, ReplicatedLog } from "../../src/replication/replicated-log.ts";
import type { Offset } from "../../src/types.ts";
import { isDead } from "../support/process-clock.ts";
import { peerNamed } from "./identity.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { SimNode, World } from "./world.ts";

export function forwarderOf(world: World, from: SimNode): Forwarder {
  return {
    append: (leader, run, { order: _, ...options }, signal) =>
      exchange(world, from, leader, signal, async (log, to) => {
        const appended = await log.append(run, { ...options, forward: false, forwarded: true });
        world.guard(() => durableOnMajority(world, to, appended.firstOffset));
        return appended;
      }),
    trim: (leader, before, options, signal) =>
      exchange(world, from, leader, signal, (log) => log.trim(before, { ...options, forward: false })),
  };
}

function exchange<T>(
  world: World,
  from: SimNode,
  leader: string,
  signal: AbortSignal | undefined,
  call: (log: ReplicatedLog, to: SimNode) => Promise<T>,
): Promise<T> {
  const { network, nodes } = world;
  const to = nodes.get(peerNamed(leader));
  world.story.mark("forwarded");
  return new Promise((resolve, reject) => {
    const { clock } = from;
    const refused = (): void => reject(new Fault("unavailable", { message: "the connection is refused" }));
    clock.after(world.swarm.patienceMs, () =>
      reject(new Fault("unknown", { message: "no answer from the leader", written: "unknown" })),
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

function durableOnMajority(world: World, leader: SimNode, offset: Offset): void {
  world.look(leader);
  const index = world.watch.committed.get(offset)?.index;
  if (index !== undefined && leader.node?.isLeader === true) {
    world.watch.acknowledged(leader.watched, index, world.replicas());
  }
}
