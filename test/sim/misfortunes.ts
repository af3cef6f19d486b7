/**
 * What happens to a world that nobody wants: power cuts, cut and narrow links, leaders that take turns, and trouble
 * at the very moment when something matters.
 *
 * Never: asks a node for more than who leads.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { write } from "./clients.ts";
import type { PeerId } from "./raft.ts";
import type { SimNode, World } from "./world.ts";

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
  network.open(leader.peer, friend);
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
  burst(world, first, chance);
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
            burst(world, first, chance);
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

/** Cuts this one off from everyone. */
function isolate(world: World, peer: PeerId): void {
  world.network.split([peer], others(world, peer));
  world.story.happen(`${peer} is alone`);
}

/** It hears, and is not heard. */
function silence(world: World, peer: PeerId): void {
  for (const other of others(world, peer)) world.network.cut(peer, other);
  world.story.happen(`${peer} is not heard any more`);
}

function burst(world: World, made: SimNode, chance: Prng): void {
  const count = chance.chance(0.4) ? 0 : chance.between(1, 9);
  for (let left = count; left > 0; left--) write(world, made, world.nextValue("r"));
}

function stop(world: World, made: SimNode, chance: Prng): void {
  world.crash(made, world.swarm.powerCuts);
  const back = chance.chance(0.4) ? chance.between(1, 100) : chance.between(500, 2500);
  world.time.after(back, () => world.guard(() => world.restart(made)));
}

const others = (world: World, peer: PeerId): PeerId[] =>
  [...world.nodes.keys()].filter((other) => other !== peer);

/**
 * Links that carry what is small, votes and heartbeats, and swallow what is large (as when the path's MTU is not what
 * both ends believe): who is elected stays so, and what it writes reaches only some.
 */
export function narrow(world: World, chance: Prng): void {
  narrowSome(world, chance, chance.float());
  world.time.after(chance.between(300, 3000), () => world.network.mend());
}

function narrowSome(world: World, chance: Prng, share: number): void {
  const peers = [...world.nodes.keys()];
  for (const from of peers) {
    for (const to of peers) if (from !== to && chance.chance(share)) world.network.narrow(from, to);
  }
  world.story.happen("some links swallow what is large");
  world.story.mark("narrow");
}

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
  silence(world, made.peer);
  if (chance.chance(0.6)) {
    world.time.after(chance.between(0, 200), () => world.guard(() => stop(world, made, chance)));
  }
  world.time.after(chance.between(300, 3000), () => world.network.mend());
}

/**
 * Trouble for a node just as something changes on it: then what matters is half done, and most likely nobody else
 * knows of it yet.
 */
export function strikeAtMoments(world: World, chance: Prng): void {
  world.onMoment = (made) => {
    if (world.healed || !chance.chance(0.2)) return;
    const wait = chance.chance(0.4) ? 0 : chance.float() * 3 * world.swarm.delayMs;
    world.time.after(wait, () => world.guard(() => strike(world, made, chance)));
  };
}

function strike(world: World, made: SimNode, chance: Prng): void {
  if (world.healed || made.node === undefined) return;
  const { peer } = made;
  world.story.mark("struck");
  switch (chance.between(0, 4)) {
    case 0:
      stop(world, made, chance);
      return;
    case 1:
      isolate(world, peer);
      break;
    case 2:
      burst(world, made, chance);
      for (const other of others(world, peer)) if (chance.chance(0.8)) world.network.narrow(peer, other);
      break;
    default:
      falter(world, made, chance);
      return;
  }
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
