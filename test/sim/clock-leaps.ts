/**
 * Wall clocks that are set, by more than records are kept for, and nodes that compare theirs, as PeerLink does.
 *
 * One node's clock is off at a time, or those of all: a majority that is wrong by itself cannot be told from one that is
 * right. Each leap is undone within seconds, far below the hour after which a clock that was set is believed: none may
 * make a record expire, neither by the clock at the time nor by the stamp that the record got.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { nameOf } from "./identity.ts";
import type { SimNode, World } from "./world.ts";

const compareMs = 500;

/** Every node asks every other for its time, again and again, over the network as it is. */
export function compareClocks(world: World): void {
  const next = (): void => {
    world.time.after(compareMs, () => {
      for (const from of world.up()) {
        for (const to of world.up()) if (from !== to) ask(world, from, to);
      }
      next();
    });
  };
  next();
}

function ask(world: World, from: SimNode, to: SimNode): void {
  const { network } = world;
  const { clock } = from;
  const sentMs = clock.monotonicMs();
  network.trip(from.peer, to.peer, () => {
    const { time } = to.replica;
    if (to.node === undefined || time === undefined) return;
    to.clock.soon(() => {
      // The power may go in what a reading writes.
      world.mortal(to, () => {
        const [wallMs, saysSteady, saysFresh] = time.reading();
        network.trip(to.peer, from.peer, () =>
          clock.soon(() => {
            from.replica.time?.trust.peers.heard(nameOf(to.peer), wallMs, sentMs, clock.monotonicMs(), {
              saysSteady,
              saysFresh,
            });
          }),
        );
      });
    });
  });
}

/** A clock is set and set back. The process need not live through either. */
export function leap(world: World, chance: Prng): void {
  const all = [...world.nodes.values()];
  if (all.some(({ setByMs }) => setByMs !== 0)) return;
  const leader = world.leader();
  const one = leader !== undefined && chance.chance(0.6) ? leader : chance.pick(all);
  const chosen = chance.chance(0.2) ? all : [one];
  // Where all clocks agree, time has passed: more than a week of it, and producers are forgotten. So it is for an only
  // voter, which stamps records by its own clock whatever that shows; a change may leave any voter to be the only one.
  const hours = chance.between(2, chosen.length === all.length || world.swarm.churn ? 160 : 400);
  const byMs = hours * 3_600_000 * (chance.chance(0.7) ? 1 : -1);
  world.story.happen(`the clocks of ${chosen.map(({ peer }) => peer)} are set by ${byMs / 3_600_000} h`);
  world.story.mark("clock-leap");
  for (const made of chosen) world.setClock(made, byMs);
  world.time.after(chance.between(500, 6000), () => {
    for (const made of chosen) world.setClock(made, 0);
  });
}
