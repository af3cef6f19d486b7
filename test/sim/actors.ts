/**
 * Who does things to a world: clients that write and read, operators that change it, and misfortune.
 *
 * Never: looks into a node beyond what its own kind may see.
 */
import type { Prng } from "../../src/lib/prng.ts";
import type { ConfChange, PeerChange, PeerId } from "./raft.ts";
import { Violation } from "./watch.ts";
import { memberOf, type SimNode, type World, writtenOf } from "./world.ts";

/** Runs `act` again and again, after waits around `meanMs`, while the faulty phase lasts. */
function often(world: World, chance: Prng, meanMs: number, act: () => void): void {
  const next = (): void => {
    world.time.after(-Math.log(1 - chance.float()) * meanMs, () => {
      if (world.healed) return;
      world.guard(act);
      next();
    });
  };
  next();
}

export function startActors(world: World): void {
  const { swarm, chance } = world;
  for (let client = 1; client <= swarm.clients; client++)
    startClient(world, client, chance.stream(`client/${client}`));
  const act = (name: string, enabled: boolean, meanMs: number, deed: (chance: Prng) => void): void => {
    const own = chance.stream(name);
    if (enabled) often(world, own, meanMs, () => deed(own));
  };
  act("crash", swarm.crashes, 2500, (own) => crashSome(world, own));
  act("pause", swarm.pauses, 3000, (own) => pickUp(world, own)?.clock.pause(own.between(100, 4000)));
  act("partition", swarm.partitions, 2500, (own) => partition(world, own));
  act("rivals", swarm.rivals, 1000, (own) => rivals(world, own));
  act("one-way", swarm.oneWayCuts, 2500, (own) => cutOneWay(world, own));
  act("sync-failure", swarm.failingSyncs, 5000, (own) => {
    const made = pickUp(world, own);
    if (made !== undefined) made.faults.failNext = true;
  });
  act("disk-full", swarm.fullDisks, 5000, (own) => {
    const made = pickUp(world, own);
    if (made !== undefined) made.faults.fullUntil = world.time.now + own.between(100, 3000);
  });
  act("churn", swarm.churn, 1200, (own) => changeConfiguration(world, own));
  act("transfer", swarm.transfers, 1500, (own) => transfer(world, own));
  act("compaction", swarm.compaction, 700, (own) => {
    const made = pickUp(world, own);
    if (made !== undefined) world.mortal(made, () => made.replica.compact());
  });
  act("trim", swarm.compaction, 2000, () => trim(world));
  act("refused", swarm.refusedConnections, 1500, (own) => refuse(world, own));
}

function pickUp(world: World, chance: Prng): SimNode | undefined {
  const up = world.up();
  return up.length === 0 ? undefined : chance.pick(up);
}

/** Writes and reads, one after another, mostly at the node that led last. */
function startClient(world: World, client: number, chance: Prng): void {
  let count = 0;
  const meanMs = chance.pick([20, 100, 400]);
  often(world, chance, meanMs, () => {
    const made = chance.chance(0.8) ? (world.leader() ?? pickUp(world, chance)) : pickUp(world, chance);
    if (made?.node === undefined) return;
    if (chance.chance(0.25)) {
      read(world, made);
      return;
    }
    for (let burst = chance.chance(0.1) ? chance.between(2, 12) : 1; burst > 0; burst--) {
      write(world, made, `c${client}-${++count}`);
    }
  });
}

function write(world: World, made: SimNode, value: string): void {
  const { node, replica } = made;
  const write = world.history.invoke(value);
  const refused = node?.propose([replica.data(value)], {
    applied: (index) =>
      world.guard(() => {
        const applied = world.watch.applied.get(index);
        if (applied?.value !== value) {
          throw new Violation(
            "wrong-answer",
            `${value} was acknowledged at ${index}, where ${applied?.value} stands`,
          );
        }
        world.watch.acknowledged(made.watched, index, world.replicas());
        world.story.hash(`ack ${value} ${applied.offset}`);
        world.history.acked(write, applied.offset ?? -1);
      }),
    failed: (fault) => world.guard(() => world.history.failed(write, writtenOf(fault))),
  });
  if (refused !== undefined) world.history.failed(write, refused.written);
}

function read(world: World, made: SimNode): void {
  const { node, replica } = made;
  const floor = world.history.shown;
  node?.read({
    ready: () => world.guard(() => world.history.read(replica.next, floor)),
    failed: () => {},
  });
}

function crashSome(world: World, chance: Prng): void {
  const count = chance.chance(0.15) ? world.nodes.size : chance.between(1, 2);
  for (let left = count; left > 0; left--) {
    const made = pickUp(world, chance);
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

function partition(world: World, chance: Prng): void {
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
 * Two leaders take turns: one is cut off while it is written to, the others elect another, and as the first comes
 * back the second goes. What each has that the other lacks is what the rules of the paper are about.
 */
function rivals(world: World, chance: Prng): void {
  const first = world.leader();
  if (first === undefined || world.nodes.size < 3) return;
  const alone = (peer: PeerId): void => {
    world.network.mend();
    world.network.split(
      [peer],
      [...world.nodes.keys()].filter((other) => other !== peer),
    );
    world.story.happen(`${peer} is alone`);
  };
  const burst = (made: SimNode): void => {
    for (let left = chance.between(0, 6); left > 0; left--)
      write(world, made, `r${++rivalWrites(world).count}`);
  };
  alone(first.peer);
  burst(first);
  const turn = (patience: number): void => {
    if (world.healed || patience === 0) return;
    const second = world.leader();
    if (second === undefined || second.peer === first.peer) {
      world.time.after(50, () => world.guard(() => turn(patience - 1)));
      return;
    }
    if (chance.chance(0.7)) burst(second);
    world.time.after(chance.between(0, 60), () =>
      world.guard(() => {
        world.story.mark("rivals");
        if (chance.chance(0.5)) alone(second.peer);
        else {
          world.network.mend();
          world.crash(second, world.swarm.powerCuts);
          world.time.after(chance.between(500, 2500), () => world.guard(() => world.restart(second)));
        }
        world.time.after(chance.between(500, 2500), () => world.network.mend());
      }),
    );
  };
  turn(60);
}

const rivalCounts = new WeakMap<World, { count: number }>();
function rivalWrites(world: World): { count: number } {
  const known = rivalCounts.get(world) ?? { count: 0 };
  rivalCounts.set(world, known);
  return known;
}

function cutOneWay(world: World, chance: Prng): void {
  const peers = [...world.nodes.keys()];
  const [from, to] = [chance.pick(peers), chance.pick(peers)];
  world.story.happen(`${from} is not heard by ${to} any more`);
  world.network.cut(from, to);
  world.time.after(chance.between(200, 3000), () => world.network.mend());
}

function transfer(world: World, chance: Prng): void {
  const leader = world.leader();
  if (leader === undefined) return;
  const to = chance.pick([...world.nodes.keys()]);
  world.story.happen(`${leader.peer} is to hand over to ${to}`);
  leader.node.transferLeadership(to);
}

/** A connection to the leader was refused, rightly or not: some who think it leads are told. */
function refuse(world: World, chance: Prng): void {
  const leader = world.leader();
  const gone = leader?.peer ?? chance.pick([...world.nodes.keys()]);
  if (chance.chance(0.5) && leader !== undefined) world.crash(leader, false);
  const made = world.nodes.get(gone);
  if (made !== undefined)
    world.time.after(chance.between(50, 1500), () => world.guard(() => world.restart(made)));
  for (const other of world.up()) if (chance.chance(0.7)) other.node?.connectionRefused(gone);
}

function trim(world: World): void {
  const leader = world.leader();
  if (leader === undefined) return;
  const { lowest, next } = leader.replica;
  const entry = leader.replica.settings() ?? leader.replica.trim(Math.floor((lowest + next) / 2));
  if (entry !== undefined) leader.node.propose([entry], { applied: () => {}, failed: () => {} });
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
  const count = chance.chance(0.3) ? 2 : 1;
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
  for (const peer of joining) if (!world.nodes.has(peer)) world.add(peer);
  const transition = changes.length > 1 ? chance.pick(["auto", "implicit", "explicit"] as const) : "auto";
  propose(world, leader, { transition, changes, members: joining.map(memberOf) });
}

function propose(world: World, leader: SimNode, change: ConfChange): void {
  world.story.happen(
    `${leader.peer} is to change: ${change.transition} ${change.changes.map(({ action, peer }) => `${action} ${peer}`)}`,
  );
  leader.node?.proposeChange(change).then(
    () => world.story.mark("configuration-changed"),
    () => {},
  );
}
