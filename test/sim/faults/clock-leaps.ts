/**
 * Sets wall clocks by more than the retention time, and compares the clocks of the servers as PeerLink does.
 *
 * Either one clock is wrong at a time, or all are: if a majority is wrong, the others cannot detect it. Each leap is undone
 * within seconds, long before the hour after which a set clock is trusted. So no leap may make a record expire, neither by
 * the clock of that time nor by the timestamp of the record.
 */
import type { Prng } from "../../../src/lib/prng.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import { nameOf } from "../cluster/sim-members.ts";
import type { SimServer } from "../cluster/sim-server.ts";

const compareMs = 500;

/** Every server regularly asks every other for its time, over the network as it is. */
export function compareClocks(cluster: SimCluster): void {
  const next = (): void => {
    cluster.time.after(compareMs, () => {
      for (const from of cluster.running()) {
        for (const to of cluster.running()) if (from !== to) ask(cluster, from, to);
      }
      next();
    });
  };
  next();
}

function ask(cluster: SimCluster, from: SimServer, to: SimServer): void {
  const { network } = cluster;
  const { clock } = from;
  const sentMs = clock.monotonicMs();
  network.trip(from.peer, to.peer, () => {
    const { time } = to.replica;
    if (to.node === undefined || time === undefined) return;
    to.clock.soon(() => {
      // The power can fail during the write of a reading.
      cluster.runInProcess(to, () => {
        const [wallMs, saysSteady, saysFresh] = time.reading();
        network.trip(to.peer, from.peer, () =>
          clock.soon(() => {
            from.replica.time?.trust.peers.record(nameOf(to.peer), wallMs, sentMs, clock.monotonicMs(), {
              saysSteady,
              saysFresh,
            });
          }),
        );
      });
    });
  });
}

/** Sets a clock and sets it back. The process may end before either. */
export function leap(cluster: SimCluster, random: Prng): void {
  const all = [...cluster.servers.values()];
  if (all.some(({ setByMs }) => setByMs !== 0)) return;
  const leader = cluster.leader();
  const one = leader !== undefined && random.chance(0.6) ? leader : random.pick(all);
  const chosen = random.chance(0.2) ? all : [one];
  // Less than a week, after which producers expire. A leader stamps records by its own clock if all clocks agree, if it is
  // the only voter, and as long as it knows no other clock after a restart.
  const hours = random.between(2, 160);
  const byMs = hours * 3_600_000 * (random.chance(0.7) ? 1 : -1);
  cluster.trace.event(`the clocks of ${chosen.map(({ peer }) => peer)} are set by ${byMs / 3_600_000} h`);
  cluster.trace.mark("clock-leap");
  for (const server of chosen) cluster.setClock(server, byMs);
  cluster.time.after(random.between(500, 6000), () => {
    for (const server of chosen) cluster.setClock(server, 0);
  });
}
