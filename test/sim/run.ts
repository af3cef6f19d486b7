/**
 * One seed, from its first event to its verdict: a phase with faults, then healing, quiet, and the last checks.
 *
 * Never: prints.
 */
import { Fault } from "../../src/fault.ts";
import { AssertionFailed } from "../../src/lib/assert.ts";
import { isDead } from "../support/process-clock.ts";
import { startActors } from "./actors.ts";
import type { Swarm } from "./swarm.ts";
import { Violation } from "./watch.ts";
import { World } from "./world.ts";

export interface SeedResult {
  readonly seed: string;
  readonly hash: string;
  /** undefined: all is well. */
  readonly invariant: string | undefined;
  readonly detail: string;
  readonly story: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
  readonly marks: ReadonlyMap<string, number>;
  readonly acked: number;
  readonly faults: number;
}

export interface RunOptions {
  readonly story?: boolean;
  readonly only?: Partial<Swarm>;
}

const healMs = 60_000;

/** The world under way: what is thrown in a promise of its nodes ends it, too, unless it is just their end. */
let current: World | undefined;
process.on("unhandledRejection", (thrown) => {
  if (current === undefined) throw thrown;
  if (isDead(thrown)) return;
  current.guard(() => {
    throw thrown;
  });
});

export async function runSeed(seed: string, options: RunOptions = {}): Promise<SeedResult> {
  const world = new World(seed, options.only);
  current = world;
  world.story.told = options.story === true;
  let [invariant, detail]: [string | undefined, string] = [undefined, ""];
  try {
    await play(world);
  } catch (thrown) {
    invariant = nameOf(thrown);
    detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  // Nothing of this world is to be heard of in the next.
  await new Promise(setImmediate);
  current = undefined;
  const { marks } = world.story;
  const faultNames = ["power-cut", "kill", "split", "sync-failed", "disk-full"];
  const { lost, doubled, cut } = world.network.counts;
  return {
    seed,
    hash: world.story.digest,
    invariant,
    detail,
    story: world.story.lines(),
    events: world.events,
    virtualMs: world.time.now,
    marks,
    acked: world.history.counts.acked,
    faults: faultNames.reduce((sum, name) => sum + (marks.get(name) ?? 0), lost + doubled + cut),
  };
}

function nameOf(thrown: unknown): string {
  if (thrown instanceof Violation) return thrown.invariant;
  if (thrown instanceof AssertionFailed) return "assertion";
  return thrown instanceof Error ? `error ${thrown.name}` : "error";
}

async function play(world: World): Promise<void> {
  startActors(world);
  await world.run(world.swarm.chaosMs);
  await heal(world);
  check(world);
  await world.breathe();
}

/** Everything is mended; within a minute there is one leader, all its members have all it has, and it takes writes. */
async function heal(world: World): Promise<void> {
  world.healed = true;
  world.network.faulty = false;
  world.network.mend();
  world.story.happen("all is healed");
  for (const made of world.nodes.values()) {
    made.faults.fullUntil = 0;
    made.faults.failNext = false;
    world.setClock(made, 0);
    world.restart(made);
  }
  const end = world.time.now + healMs;
  const leaves = (): void => {
    const leader = world.leader();
    if (leader === undefined) return;
    const { votersOutgoing, autoLeave } = leader.node.configuration;
    if (votersOutgoing.length > 0 && !autoLeave) {
      leader.node.proposeChange({ transition: "auto", changes: [] }).catch(() => {});
    }
  };
  for (let round = 0; round < 20; round++) {
    leaves();
    if (await world.run(world.time.now + 1000, () => settled(world))) break;
    if (world.time.now > end) break;
  }
  if (!settled(world)) throw new Violation("liveness", state(world));
  let done = false;
  for (let attempt = 1; attempt <= 10 && !done; attempt++) {
    done = await writeOnce(world, `the last ${attempt}`);
    if (!done) await world.run(world.time.now + 1000, () => false);
  }
  for (let round = 0; round < 10 && !settled(world); round++) {
    // What was proposed before the healing may have been applied only now.
    leaves();
    await world.run(world.time.now + 1000, () => settled(world));
  }
  if (!done || !settled(world)) throw new Violation("liveness", `no write after healing: ${state(world)}`);
}

/**
 * One write, as a client would that tries again: a hand-over begun before the healing may refuse it, and a failure
 * that a disk had coming may stop its node.
 */
async function writeOnce(world: World, value: string): Promise<boolean> {
  for (const made of world.nodes.values()) if (made.node === undefined) world.restart(made);
  const leader = world.leader();
  const write = world.history.invoke(value);
  leader?.replica.append(value, {
    acked: (offset) => world.history.acked(write, offset),
    failed: (fault) => world.history.failed(write, Fault.from(fault).written),
  });
  await world.run(world.time.now + 3000, () => write.outcome !== "open");
  return write.outcome === "acked";
}

/** One leader that knows what is committed, no joint configuration, and everyone in it has all of it. */
function settled(world: World): boolean {
  const leader = world.leader();
  if (leader === undefined || !leader.node.committedInTerm) return false;
  const { voters, learners, votersOutgoing } = leader.node.configuration;
  if (votersOutgoing.length > 0 || !voters.includes(leader.peer)) return false;
  if (leader.node.applied !== leader.node.lastIndex) return false;
  return [...voters, ...learners].every((peer) => {
    const made = world.nodes.get(peer);
    return made?.node !== undefined && made.node.applied === leader.node.applied;
  });
}

function state(world: World): string {
  return [...world.nodes.values()]
    .map(({ peer, node }) => {
      if (node === undefined) return `${peer} down`;
      const { role, term, commit, applied, lastIndex, configuration } = node.status();
      const { voters, votersOutgoing, learners } = configuration;
      return (
        `\n${peer} ${role} term ${term} last ${lastIndex} commit ${commit} applied ${applied}` +
        ` voters ${voters} & ${votersOutgoing} learners ${learners}` +
        [...(node.status().progress ?? [])].map(([id, one]) => ` ${id}:${one.state}/${one.match}/${one.next}`)
      );
    })
    .join("; ");
}

/** The final images: all members alike, and the history true of them. */
function check(world: World): void {
  const leader = world.leader();
  if (leader === undefined) throw new Violation("liveness", "no leader at the end");
  const { voters, learners } = leader.node.configuration;
  for (const peer of [...voters, ...learners]) {
    const replica = world.nodes.get(peer)?.replica;
    if (replica === undefined) continue;
    const lowest = Math.max(replica.lowest, leader.replica.lowest);
    const [ours, theirs] = [leader.replica, replica].map((one) =>
      one
        .values()
        .slice(lowest - one.lowest)
        .join("\n"),
    );
    if (ours !== theirs) throw new Violation("replicas-differ", `${leader.peer} and ${peer}`);
  }
  world.history.check(leader.replica.values(), leader.replica.lowest);
}
