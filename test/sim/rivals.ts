/**
 * Leaders that take turns.
 *
 * Never: asks a node for more than who leads.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { burst, isolate, narrowSome, others, silence, stop } from "./harm.ts";
import type { PeerId } from "./raft.ts";
import type { SimNode, World } from "./world.ts";

/**
 * Leaders take turns. What each writes reaches one other at most; then it falls silent, is cut off, dies, or hands
 * over, often to the one before it. What each log has that the others lack is what the rules of the paper are about
 * (its figure 8 is such a dance).
 */
export function rivals(world: World, chance: Prng): void {
  if (world.nodes.size < 3 || world.dancing) return;
  world.dancing = true;
  let turns = chance.between(2, 7);
  const turn = (before: PeerId, patience: number): void => {
    if (world.healed) return;
    const leader = world.leader();
    if (turns === 0 || patience === 0) {
      world.dancing = false;
      world.network.mend();
    } else if (leader === undefined || leader.peer === before) {
      world.time.after(20, () => world.guard(() => turn(before, patience - 1)));
    } else {
      turns--;
      world.story.mark("rivals");
      const friend = confide(world, leader, before, chance);
      burst(world, leader, chance);
      const wait = chance.chance(0.5) ? chance.between(0, 60) : chance.between(60, 400);
      world.time.after(wait, () => world.guard(() => leave(leader, friend)));
      world.time.after(wait + 10, () => world.guard(() => turn(leader.peer, 100)));
    }
  };
  const leave = (leader: SimNode, friend: PeerId): void => {
    if (world.healed || leader.node === undefined) return;
    const way = chance.float();
    if (way < 0.15) stop(world, leader, chance);
    else if (way < 0.3) isolate(world, leader.peer);
    else if (way < 0.5) silence(world, leader.peer);
    else leader.node.transferLeadership(friend);
  };
  turn(0, 100);
}

/** All links carry only what is small but one, from this leader to a friend, often the one that led before it. */
function confide(world: World, leader: SimNode, before: PeerId, chance: Prng): PeerId {
  const { network } = world;
  network.mend();
  narrowSome(world, chance, 1);
  const back = world.nodes.has(before) && chance.chance(0.7);
  const friend = back ? before : chance.pick(others(world, leader.peer));
  // Of several entries, perhaps only the first arrive.
  if (chance.chance(0.3)) network.narrow(leader.peer, friend, chance.between(1, 4));
  else network.open(leader.peer, friend);
  return friend;
}

/**
 * Figure 8 of the paper, played on purpose: what a leader wrote reaches one other; a second leader, of the rest, writes
 * over it on the first only, and hands over to it; what the first writes now reaches nobody. Then those two are cut
 * off, and the one that has the oldest writes may lead.
 */
export function figureEight(world: World, chance: Prng): void {
  const first = world.leader();
  if (first === undefined || world.dancing || first.node.configuration.voters.length < 5) return;
  world.dancing = true;
  const { network, time } = world;
  const end = (): void => {
    world.dancing = false;
    network.mend();
  };
  const later = (ms: number, act: () => void): void => {
    time.after(ms, () => world.guard(world.healed ? end : act));
  };
  const whenLed = (fits: (peer: PeerId) => boolean, act: (leader: SimNode) => void, patience = 100): void => {
    const leader = world.leader();
    if (leader !== undefined && fits(leader.peer)) act(leader);
    else if (patience === 0) end();
    else later(20, () => whenLed(fits, act, patience - 1));
  };
  const others = (...those: PeerId[]): PeerId[] =>
    [...world.nodes.keys()].filter((peer) => !those.includes(peer));
  const only = (from: PeerId, to: PeerId): void => {
    network.mend();
    narrowSome(world, chance, 1);
    network.open(from, to);
  };
  const third = chance.pick(others(first.peer));
  only(first.peer, third);
  burst(world, first, chance, chance.between(2, 9));
  later(3 * world.swarm.delayMs + 20, () => {
    network.split([first.peer, third], others(first.peer, third));
    whenLed(
      (peer) => peer !== first.peer && peer !== third,
      (second) => {
        only(second.peer, first.peer);
        network.split([third], others(third));
        later(5 * world.swarm.delayMs + 20, () => second.node?.transferLeadership(first.peer));
        whenLed(
          (peer) => peer === first.peer,
          () => {
            narrowSome(world, chance, 1);
            burst(world, first, chance, chance.between(0, 3));
            later(30, () => {
              world.story.mark("figure-8");
              network.mend();
              network.split([first.peer, second.peer], others(first.peer, second.peer));
              whenLed(
                (peer) => peer !== first.peer && peer !== second.peer,
                () => later(300, end),
              );
            });
          },
        );
      },
    );
  });
}
