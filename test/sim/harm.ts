/**
 * The small deeds that misfortunes are made of: cutting one off, drowning it in writes, stopping it.
 *
 * Never: decides when.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { write } from "./clients.ts";
import type { PeerId } from "./raft.ts";
import type { SimNode, World } from "./world.ts";

/** Cuts this one off from everyone. */
export function isolate(world: World, peer: PeerId): void {
  world.network.split([peer], others(world, peer));
  world.story.happen(`${peer} is alone`);
}

/** It hears, and is not heard. */
export function silence(world: World, peer: PeerId): void {
  for (const other of others(world, peer)) world.network.cut(peer, other);
  world.story.happen(`${peer} is not heard any more`);
}

export function burst(world: World, made: SimNode, chance: Prng, count = drawBurst(chance)): void {
  if (world.quiet) return;
  for (let left = count; left > 0; left--) write(world, made, world.nextValue("r"), chance);
}

const drawBurst = (chance: Prng): number => (chance.chance(0.4) ? 0 : chance.between(1, 9));

export function stop(world: World, made: SimNode, chance: Prng): void {
  world.crash(made, world.swarm.powerCuts);
  const back = chance.chance(0.4) ? chance.between(1, 100) : chance.between(500, 2500);
  world.time.after(back, () => world.guard(() => world.restart(made)));
}

export const others = (world: World, peer: PeerId): PeerId[] =>
  [...world.nodes.keys()].filter((other) => other !== peer);

/** A share of all links; each may carry up to so many messages that are large before. */
export function narrowSome(world: World, chance: Prng, share: number, afterMax = 0): void {
  const peers = [...world.nodes.keys()];
  for (const from of peers) {
    for (const to of peers) {
      if (from === to || !chance.chance(share)) continue;
      world.network.narrow(from, to, afterMax === 0 ? 0 : chance.between(0, afterMax));
    }
  }
  world.story.happen("some links swallow what is large");
  world.story.mark("narrow");
}

/** What is large from this one reaches few others, or only the first of it does. */
export function swallow(world: World, { peer }: SimNode, chance: Prng, afterMax: number): void {
  for (const other of others(world, peer)) {
    if (chance.chance(0.8)) world.network.narrow(peer, other, chance.between(0, afterMax));
  }
}
