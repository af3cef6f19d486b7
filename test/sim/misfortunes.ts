/**
 * What happens to a world that nobody wants: crashes, power cuts, cut and narrow links, refused connections.
 *
 * Never: asks a node for more than who leads.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { narrowSome } from "./harm.ts";
import type { World } from "./world.ts";

export function crashSome(world: World, chance: Prng): void {
  const count = chance.chance(0.15) ? world.nodes.size : chance.between(1, 2);
  for (let left = count; left > 0; left--) {
    const made = world.pickUp(chance);
    if (made === undefined) return;
    const powerCut = world.swarm.powerCuts && chance.chance(0.7);
    if (powerCut && made.replica.cutSoon !== undefined && chance.chance(0.5)) {
      made.replica.cutSoon();
      continue;
    }
    world.crash(made, powerCut);
    const back = chance.chance(0.5) ? chance.between(10, 200) : chance.between(200, 4000);
    world.time.after(back, () => world.guard(() => world.restart(made)));
  }
}

export function partition(world: World, chance: Prng): void {
  world.network.mend();
  if (chance.chance(0.4)) {
    world.story.happen("the network is whole");
    return;
  }
  const peers = chance.shuffle([...world.nodes.keys()]);
  const size = chance.chance(0.4) ? 1 : chance.between(1, Math.max(1, peers.length - 1));
  world.story.happen(`the network splits: ${peers.slice(0, size)} | ${peers.slice(size)}`);
  world.story.mark("split");
  world.network.split(peers.slice(0, size), peers.slice(size));
}

/**
 * Links that carry what is small, votes and heartbeats, and swallow what is large (as when the path's MTU is not what
 * both ends believe): who is elected stays so, and what it writes reaches only some.
 */
export function narrow(world: World, chance: Prng): void {
  narrowSome(world, chance, chance.float(), chance.chance(0.4) ? 3 : 0);
  world.time.after(chance.between(300, 3000), () => world.network.mend());
}

export function cutOneWay(world: World, chance: Prng): void {
  const peers = [...world.nodes.keys()];
  const [from, to] = [chance.pick(peers), chance.pick(peers)];
  world.story.happen(`${from} is not heard by ${to} any more`);
  world.network.cut(from, to);
  world.time.after(chance.between(200, 3000), () => world.network.mend());
}

/** A connection to the leader was refused, rightly or not: some who think it leads are told. */
export function refuse(world: World, chance: Prng): void {
  const leader = world.leader();
  const gone = leader?.peer ?? chance.pick([...world.nodes.keys()]);
  if (chance.chance(0.5) && leader !== undefined) world.crash(leader, false);
  const made = world.nodes.get(gone);
  if (made !== undefined)
    world.time.after(chance.between(50, 1500), () => world.guard(() => world.restart(made)));
  for (const other of world.up()) if (chance.chance(0.7)) other.node?.connectionRefused(gone);
}
