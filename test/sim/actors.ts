/**
 * Who does things to a world: clients, operators that change it, and misfortune.
 *
 * Never: looks into a node beyond what its own kind may see.
 */
import type { Prng } from "../../src/lib/prng.ts";
import { startClient } from "./clients.ts";
import { compareClocks, leap } from "./clock-leaps.ts";
import { memberOf } from "./identity.ts";
import { startLogClients } from "./log-clients.ts";
import { crashSome, cutOneWay, narrow, partition, refuse } from "./misfortunes.ts";
import { often } from "./often.ts";
import type { ConfChange, PeerChange, PeerId } from "./raft.ts";
import { figureEight, rivals } from "./rivals.ts";
import { startStreams } from "./stream-clients.ts";
import { falter, handOverInVain, stall, strikeAtMoments } from "./strikes.ts";
import type { SimNode, World } from "./world.ts";

export function startActors(world: World): void {
  const { swarm, chance } = world;
  for (let client = 1; client <= swarm.clients; client++)
    startClient(world, client, chance.stream(`client/${client}`));
  if (swarm.realLog) startLogClients(world, chance.stream("log-clients"));
  if (swarm.realLog && swarm.streams) {
    for (let id = 1; id <= 2; id++) startStreams(world, id, chance.stream(`streams/${id}`));
  }
  const act = (name: string, enabled: boolean, meanMs: number, deed: (chance: Prng) => void): void => {
    const own = chance.stream(name);
    if (enabled) often(world, own, meanMs, () => deed(own));
  };
  act("crash", swarm.crashes, 2500, (own) => crashSome(world, own));
  act("pause", swarm.pauses, 3000, (own) => world.pickUp(own)?.clock.pause(own.between(100, 4000)));
  act("partition", swarm.partitions, 2500, (own) => partition(world, own));
  act("rivals", swarm.rivals, 2000, (own) => rivals(world, own));
  act("figure-8", swarm.rivals, 800, (own) => figureEight(world, own));
  act("narrow", swarm.narrowLinks, 2000, (own) => narrow(world, own));
  if (swarm.strikes) strikeAtMoments(world, chance.stream("strikes"));
  act("one-way", swarm.oneWayCuts, 2500, (own) => cutOneWay(world, own));
  act("sync-failure", swarm.failingSyncs, 5000, (own) => {
    const made = world.pickUp(own);
    if (made === undefined) return;
    made.faults.failNext = true;
    world.story.mark("sync-failed");
  });
  act("disk-full", swarm.fullDisks, 5000, (own) => {
    const made = world.pickUp(own);
    if (made === undefined) return;
    made.faults.fullUntil = world.time.now + own.between(100, 3000);
    world.story.mark("disk-full");
  });
  act("stall", swarm.stalls, 3000, (own) => stall(world, own));
  act("removal", swarm.churn, 2000, (own) => removeLeader(world, own));
  act("churn", swarm.churn, 1200, (own) => changeConfiguration(world, own));
  act("transfer", swarm.transfers, 1500, (own) => transfer(world, own));
  if (swarm.clockLeaps && swarm.realLog) compareClocks(world);
  act("clock-leap", swarm.clockLeaps, 3000, (own) => leap(world, own));
  act("compaction", swarm.compaction, 700, (own) => {
    const made = world.pickUp(own);
    if (made !== undefined) world.mortal(made, () => made.replica.compact());
  });
  act("trim", swarm.compaction, 1500, (own) => {
    const made = own.chance(0.5) ? world.leader() : world.pickUp(own);
    if (!world.quiet && made !== undefined) world.watch.trimmedTo(made.replica.trim());
  });
  // Where operators take others out meanwhile, too few would be left.
  const rollsBack = swarm.rollbacks && swarm.realLog && !swarm.churn;
  if (rollsBack) world.identity.startPings();
  act("rollback", rollsBack, 400, (own) => world.identity.rollBackSome(own));
  act("refused", swarm.refusedConnections, 1500, (own) => refuse(world, own));
}

function transfer(world: World, chance: Prng): void {
  const leader = world.leader();
  if (leader === undefined) return;
  const to = chance.pick([...world.nodes.keys()]);
  world.story.happen(`${leader.peer} is to hand over to ${to}`);
  leader.node.transferLeadership(to);
}

const peersMax = 12;

/** One random, mostly sensible change: join, promote, demote, remove, several at once, leave a joint one. */
function changeConfiguration(world: World, chance: Prng): void {
  const leader = world.leader();
  if (leader === undefined) return;
  const { configuration } = leader.node;
  const { voters, learners, votersOutgoing } = configuration;
  if (votersOutgoing.length > 0) {
    if (!configuration.autoLeave) propose(world, leader, { transition: "auto", changes: [] });
    return;
  }
  const changes: PeerChange[] = [];
  const joining: PeerId[] = [];
  const count = chance.chance(0.4) ? 2 : 1;
  for (let left = count; left > 0; left--) {
    const luck = chance.float();
    const peer = leader.node.nextPeer + joining.length;
    if (luck < 0.35 && peer <= peersMax && voters.length + learners.length < 7) {
      changes.push({ action: chance.chance(0.3) ? "voter" : "learner", peer });
      joining.push(peer);
    } else if (luck < 0.6 && learners.length > 0) {
      changes.push({ action: "voter", peer: chance.pick(learners) });
    } else if (luck < 0.75 && voters.length > 1) {
      changes.push({ action: "learner", peer: chance.pick(voters) });
    } else if (voters.length > 1) {
      changes.push({
        action: "remove",
        peer: chance.pick(chance.chance(0.5) ? voters : [...voters, ...learners]),
      });
    }
  }
  const touched = new Set(changes.map((change) => change.peer));
  if (changes.length === 0 || touched.size < changes.length) return;
  const gone = changes.filter(({ action }) => action !== "voter").map((change) => change.peer);
  if (!voters.some((peer) => !gone.includes(peer))) return;
  for (const peer of joining) join(world, peer, chance);
  const transition = chance.pick(["auto", "auto", "implicit", "implicit", "explicit"] as const);
  propose(world, leader, { transition, changes, members: joining.map(memberOf) });
  if (chance.chance(0.4)) handOverMeanwhile(world, leader, chance);
}

/** A new machine, which may lose power once more before it is in its place. */
function join(world: World, peer: PeerId, chance: Prng): void {
  if (world.nodes.has(peer)) return;
  const made = world.add(peer);
  const { delayMs, syncMs, powerCuts } = world.swarm;
  if (!powerCuts || chance.chance(0.6)) return;
  const wait = chance.float() * (16 * delayMs + 8 * syncMs + 20);
  world.time.after(wait, () =>
    world.guard(() => {
      if (world.healed) return;
      world.crash(made, true);
      world.time.after(chance.between(1, 100), () => world.guard(() => world.restart(made)));
    }),
  );
}

/** Somebody is in a hurry: leadership is handed over while the change is still under way, to whoever comes to mind. */
function handOverMeanwhile(world: World, leader: SimNode, chance: Prng): void {
  const wait = chance.float() * (4 * world.swarm.delayMs + 2 * world.swarm.syncMs);
  const inVain = chance.chance(0.5);
  world.time.after(wait, () =>
    world.guard(() => {
      if (inVain) handOverInVain(world, leader, chance);
      else leader.node?.transferLeadership(chance.pick([...world.nodes.keys()]));
    }),
  );
}

/** The leader is taken out while it is written to, and its machine switched off a little too soon. */
function removeLeader(world: World, chance: Prng): void {
  const leader = world.leader();
  if (leader === undefined) return;
  const { voters, votersOutgoing } = leader.node.configuration;
  if (votersOutgoing.length > 0) return;
  const changes: PeerChange[] = [{ action: chance.chance(0.5) ? "remove" : "learner", peer: leader.peer }];
  const joining: PeerId[] = [];
  if (voters.length < 2 || (voters.length < 4 && chance.chance(0.3))) {
    // All of a small group go, and another comes in their place.
    const peer = leader.node.nextPeer;
    if (peer > peersMax) return;
    for (const other of voters) if (other !== leader.peer) changes.push({ action: "remove", peer: other });
    changes.unshift({ action: "voter", peer });
    joining.push(peer);
    join(world, peer, chance);
  }
  propose(world, leader, { transition: "auto", changes, members: joining.map(memberOf) });
  if (chance.chance(0.3)) return;
  const wait = chance.float() * 8 * world.swarm.delayMs;
  world.time.after(wait, () => world.guard(() => falter(world, leader, chance)));
}

function propose(world: World, leader: SimNode, change: ConfChange): void {
  world.story.happen(
    `${leader.peer} is to change: ${change.transition} ${change.changes.map(({ action, peer }) => `${action} ${peer}`)}`,
  );
  world.onMoment(leader, true);
  leader.node?.proposeChange(change).then(
    () => world.story.mark("configuration-changed"),
    () => {},
  );
}
