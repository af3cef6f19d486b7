/**
 * Trouble for one node: it is written to and falls silent, stands still, forgets, hands over in vain; and all of that
 * at the very moment when something matters.
 *
 * Never: asks a node for more than who leads.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { burst, isolate, silence, stop, swallow } from "./harm.ts";
import type { SimNode, World } from "./world.ts";

/** A disk that stands still for seconds, and often the leader goes just then. */
export function stall(world: World, chance: Prng): void {
  const made = world.pickUp(chance);
  if (made === undefined) return;
  made.faults.stallsUntil = world.time.now + chance.between(300, 4000);
  world.story.happen(`the disk of ${made.peer} stands still`);
  world.story.mark("stall");
  const leader = world.leader();
  if (leader === undefined || leader.peer === made.peer || chance.chance(0.4)) return;
  burst(world, leader, chance);
  world.time.after(chance.between(0, 300), () => world.guard(() => strike(world, leader, chance)));
}

/** A node that is written to falls silent, and maybe dies. */
export function falter(world: World, made: SimNode, chance: Prng): void {
  burst(world, made, chance);
  const wait = chance.chance(0.5) ? 0 : chance.float() * 2 * world.swarm.delayMs;
  world.time.after(wait, () => world.healed || silence(world, made.peer));
  if (chance.chance(0.6)) {
    world.time.after(chance.between(0, 200), () => world.guard(() => stop(world, made, chance)));
  }
  world.time.after(chance.between(300, 3000), () => world.network.mend());
}

/**
 * A node that lives in its memory alone: its disk stands still from this very moment, its links mostly carry only what
 * is small, and then the power goes.
 */
function forget(world: World, made: SimNode, chance: Prng): void {
  const { swarm, time } = world;
  const wait = chance.float() * (6 * swarm.delayMs + 4 * swarm.syncMs + 20);
  made.faults.stallsUntil = time.now + wait + 1;
  world.story.mark("forgets");
  swallow(world, made, chance, 0);
  time.after(wait, () =>
    world.guard(() => {
      if (world.healed) return;
      world.crash(made, swarm.powerCuts);
      time.after(chance.chance(0.7) ? 1 : chance.between(100, 2000), () =>
        world.guard(() => world.restart(made)),
      );
    }),
  );
  time.after(chance.between(300, 3000), () => world.network.mend());
}

/** It hands over to one that it cannot reach. */
export function handOverInVain(world: World, made: SimNode, chance: Prng): void {
  const voters = made.node?.configuration.voters.filter((peer) => peer !== made.peer) ?? [];
  if (world.healed || voters.length === 0) return;
  const chosen = chance.pick(voters);
  world.network.split([made.peer], [chosen]);
  made.node?.transferLeadership(chosen);
  world.time.after(chance.between(300, 3000), () => world.network.mend());
}

/**
 * Trouble for a node just as something changes on it: then what matters is half done, and most likely nobody else
 * knows of it yet.
 */
export function strikeAtMoments(world: World, chance: Prng): void {
  world.onMoment = (made, rare) => {
    if (world.healed || !chance.chance(rare ? 0.4 : 0.2)) return;
    if (chance.chance(rare ? 0.1 : 0.4)) {
      forget(world, made, chance);
      return;
    }
    if (rare && chance.chance(0.2) && made.replica.cutSoon !== undefined && world.swarm.powerCuts) {
      made.replica.cutSoon();
      return;
    }
    const wait = chance.chance(0.4) ? 0 : chance.float() * 3 * world.swarm.delayMs;
    world.time.after(wait, () => world.guard(() => strike(world, made, chance)));
  };
}

function strike(world: World, made: SimNode, chance: Prng): void {
  if (world.healed || made.node === undefined) return;
  const { peer } = made;
  world.story.mark("struck");
  switch (chance.between(0, 5)) {
    case 0:
      stop(world, made, chance);
      return;
    case 1:
      isolate(world, peer);
      break;
    case 2:
      burst(world, made, chance);
      swallow(world, made, chance, 2);
      break;
    case 3:
      handOverInVain(world, made, chance);
      return;
    default:
      falter(world, made, chance);
      return;
  }
  world.time.after(chance.between(300, 3000), () => world.network.mend());
}
