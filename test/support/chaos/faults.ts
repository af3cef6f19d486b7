/**
 * What can befall a cluster. Each fault is a thing that begins, lasts and ends; afterwards the cluster is as able as
 * before, if not always as healthy.
 *
 * Never: takes the last copy of an acknowledged record: one node at a time loses its disk, and the next one only once
 * the first has everything again.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../../src/lib/prng.ts";
import { tailrace } from "../process.ts";
import type { Fleet, FleetNode } from "./fleet.ts";
import type { SmallDisk } from "./full-disk.ts";
import type { Operator } from "./operator.ts";
import { pause } from "./world.ts";

export interface Scene {
  readonly fleet: Fleet;
  readonly operator: Operator;
  readonly chance: Prng;
  /** Ends what lasts. */
  readonly signal: AbortSignal;
  /** The small disks that nodes are on, by node. */
  readonly disks: ReadonlyMap<string, SmallDisk>;
  /** Makes every duration longer or shorter. */
  readonly tempo: number;
}

/** Answers what it did, for people; undefined when it could not be done now. */
export type Fault = (scene: Scene) => Promise<string | undefined>;

const lasting = ({ chance, tempo, signal }: Scene, low: number, high: number): Promise<void> =>
  pause(chance.between(low, high) * tempo, signal);

/** The leader half of the time, else anybody. */
async function victim({ operator, fleet, chance }: Scene): Promise<FleetNode | undefined> {
  const leader = chance.chance(0.5) ? await operator.leader() : undefined;
  return leader ?? (fleet.running.length === 0 ? undefined : chance.pick(fleet.running));
}

async function victims(scene: Scene, count: number): Promise<readonly FleetNode[]> {
  const first = await victim(scene);
  const others = scene.chance.shuffle(scene.fleet.running.filter((node) => node !== first));
  return first === undefined ? [] : [first, ...others].slice(0, count);
}

const namesOf = (nodes: readonly FleetNode[]): string => nodes.map(({ name }) => name).join(" and ");
const minority = ({ fleet }: Scene): number => Math.floor((fleet.nodes.length - 1) / 2);

async function killed(scene: Scene, nodes: readonly FleetNode[]): Promise<string | undefined> {
  if (nodes.length === 0) return undefined;
  await Promise.all(nodes.map((node) => scene.fleet.end(node, "SIGKILL")));
  await lasting(scene, 50, 2_000);
  for (const node of nodes) await scene.fleet.start(node);
  return namesOf(nodes);
}

const kill: Fault = async (scene) => killed(scene, await victims(scene, 1));
const killMinority: Fault = async (scene) => killed(scene, await victims(scene, minority(scene)));
/** As a power cut for all at once, save that what the kernel holds survives. */
const killAll: Fault = async (scene) => killed(scene, [...scene.fleet.running]);

const stop: Fault = async (scene) => {
  const node = await victim(scene);
  if (node === undefined) return undefined;
  scene.fleet.pause(node);
  await lasting(scene, 200, 4_000);
  scene.fleet.resume(node);
  return node.name;
};

const restart: Fault = async (scene) => {
  const node = await victim(scene);
  if (node === undefined) return undefined;
  await scene.fleet.end(node, "SIGTERM");
  await scene.fleet.start(node);
  return node.name;
};

const succeeds = (asked: Promise<void>): Promise<boolean> =>
  asked.then(
    () => true,
    () => false,
  );

const transfer: Fault = async ({ fleet, operator, chance }) => {
  const leader = await operator.leader();
  const others = fleet.running.filter((node) => node !== leader);
  if (leader === undefined || others.length === 0) return undefined;
  const to = chance.pick(others);
  if (!(await succeeds(operator.transfer(to)))) return undefined;
  return `${leader.name} to ${to.name}`;
};

/** Waits until the cluster has as many voters as nodes, each with everything, or for long enough. */
async function whole({ operator, signal }: Scene, limitMs = 45_000): Promise<boolean> {
  for (const last = performance.now() + limitMs; performance.now() < last && !signal.aborted; ) {
    if (await operator.isWhole()) return true;
    await pause(250, signal);
  }
  return false;
}

/**
 * Nobody is down and everybody has everything: a disk may be lost. What was before this may just have ended, so it is
 * waited for; else what needs calm would hardly ever happen.
 */
async function isCalm(scene: Scene): Promise<boolean> {
  const { fleet } = scene;
  return fleet.nodes.length > 2 && fleet.running.length === fleet.nodes.length && whole(scene, 15_000);
}

/** A node loses its disk and comes back under its old name. */
const wipe: Fault = async (scene) => {
  const { fleet, signal } = scene;
  if (!(await isCalm(scene))) return undefined;
  const node = await victim(scene);
  if (node === undefined || signal.aborted) return undefined;
  await fleet.end(node, "SIGKILL");
  fleet.wipe(node);
  await lasting(scene, 100, 1_000);
  await fleet.start(node);
  return `${node.name}${(await whole(scene)) ? "" : " (not whole yet)"}`;
};

/** Bits of what a node has stored long ago are flipped; it is repaired and comes back as one that must catch up. */
const damage: Fault = async (scene) => {
  const { fleet, chance, signal } = scene;
  if (!(await isCalm(scene))) return undefined;
  const node = await victim(scene);
  if (node === undefined || signal.aborted) return undefined;
  await fleet.end(node, "SIGKILL");
  const at = flipBit(join(node.directory, "log"), chance);
  if (at !== undefined) {
    const { status, out, err } = await tailrace(["repair", node.directory, "--yes"]);
    if (status !== 0 || !out.includes("repaired next="))
      fleet.deaths.push(`${node.name} could not be repaired: ${out}${err}`);
  }
  await fleet.start(node);
  if (at === undefined) return undefined;
  return `${node.name}, ${at}${(await whole(scene)) ? "" : " (not whole yet)"}`;
};

const refusal = "the other members refuse its data directory";

/** Has this node, or twin, said since then that the others refuse it? Waits for long enough. */
async function isRefused({ fleet }: Scene, name: string, since: number, limitMs: number): Promise<boolean> {
  const never = new AbortController().signal;
  for (const last = performance.now() + limitMs; performance.now() < last; await pause(200, never)) {
    if (fleet.logSince(name, since).includes(refusal)) return true;
  }
  return false;
}

/** A directory is put back to an older copy of itself: of this run of the process, or of the one before. */
const rollback: Fault = async (scene) => {
  const { fleet, chance, signal } = scene;
  if (!(await isCalm(scene))) return undefined;
  const node = await victim(scene);
  if (node === undefined || signal.aborted) return undefined;
  const copy = fleet.copy(node);
  const restarts = chance.chance(0.4);
  if (restarts) {
    await fleet.end(node, "SIGKILL");
    await fleet.start(node);
    await whole(scene, 15_000);
  }
  await lasting(scene, 2_000, 4_000);
  await fleet.end(node, "SIGKILL");
  fleet.putBack(node, copy);
  const since = fleet.logged(node.name);
  await fleet.start(node);
  const refused = await isRefused(scene, node.name, since, 45_000);
  // With the network cut it may have had nothing to lose.
  if (!refused && restarts)
    fleet.deaths.push(`${node.name} was rolled back, and the others have accepted it`);
  await fleet.end(node, "SIGKILL");
  if (refused && chance.chance(0.5)) {
    const { status, out, err } = await tailrace(["repair", node.directory, "--yes"]);
    if (status !== 0) fleet.deaths.push(`${node.name} could not be repaired: ${out}${err}`);
  } else fleet.wipe(node);
  await fleet.start(node);
  const how = `${restarts ? ", with a start between" : ""}${refused ? "" : ", with nothing lost"}`;
  return `${node.name}${how}${(await whole(scene)) ? "" : " (not whole yet)"}`;
};

/** A copy of a running member's directory is started beside it. */
const twin: Fault = async (scene) => {
  const { fleet, signal } = scene;
  if (!(await isCalm(scene))) return undefined;
  const node = await victim(scene);
  if (node === undefined || signal.aborted) return undefined;
  const copy = fleet.copy(node);
  const name = `${node.name}-twin`;
  const since = fleet.logged(name);
  const second = await fleet.twin(node, copy);
  const refused = await isRefused(scene, name, since, 45_000);
  await lasting(scene, 500, 2_000);
  const death = await fleet.endTwin(second);
  fleet.discard(copy);
  if (death !== undefined) fleet.deaths.push(`the twin of ${node.name} ended with ${death}`);
  else if (!refused) fleet.deaths.push(`the twin of ${node.name} was not refused`);
  return node.name;
};

/** Of a sealed segment, where there is one; answers which and where. */
function flipBit(directory: string, chance: Prng): string | undefined {
  const stores = readdirSync(directory)
    .filter((name) => name.endsWith(".store"))
    .sort()
    .slice(0, -1);
  if (stores.length === 0) return undefined;
  const name = chance.pick(stores);
  const bytes = readFileSync(join(directory, name));
  const at = chance.between(0, bytes.length - 1);
  bytes[at]! ^= 1 << chance.between(0, 7);
  writeFileSync(join(directory, name), bytes);
  return `${name} at ${at}`;
}

/**
 * Takes it out; answers whether that could be done. An order whose answer was lost may still be under way, and what the
 * node itself or a follower says of the members is of before: it is given again until something definite is heard.
 */
async function removed(operator: Operator, name: string, insists: boolean): Promise<boolean> {
  const first = await operator.remove(name);
  if (first === true || (first === false && !insists)) return first;
  const never = new AbortController().signal;
  for (let tries = 0; tries < 40; tries++) {
    await pause(500, never);
    if ((await operator.remove(name)) === true) return true;
  }
  return false;
}

/** A node is removed; under its name comes a new one. */
const replace: Fault = async (scene) => {
  const { fleet, operator, signal } = scene;
  if (!(await isCalm(scene))) return undefined;
  const node = await victim(scene);
  if (node === undefined || signal.aborted) return undefined;
  if (!(await removed(operator, node.name, false))) return undefined;
  await lasting(scene, 100, 1_000);
  await fleet.end(node, "SIGKILL");
  fleet.wipe(node);
  await fleet.start(node);
  return `${node.name}${(await whole(scene)) ? "" : " (not whole yet)"}`;
};

/** One more node for a while. */
const guest: Fault = async (scene) => {
  const { fleet, operator, chance } = scene;
  if (!(await isCalm(scene))) return undefined;
  const name = `guest${chance.between(1, 99_999)}`;
  const node = await fleet.add(name);
  await fleet.start(node);
  const joined = await whole(scene);
  await lasting(scene, 200, 1_500);
  // Also when the run is over: what was taken in must go again.
  await removed(operator, name, true);
  await fleet.retire(node);
  return `${name}${joined ? "" : " (never whole)"}`;
};

const fullDisk: Fault = async (scene) => {
  if (scene.disks.size === 0) return undefined;
  const [name, disk] = scene.chance.pick([...scene.disks]);
  disk.fill();
  await lasting(scene, 500, 3_000);
  disk.empty();
  return name;
};

/** Nothing passes between two groups, in both directions or in one. */
function split(scene: Scene, group: readonly string[], both: boolean): void {
  const { fleet } = scene;
  const others = fleet.nodes.map(({ name }) => name).filter((name) => !group.includes(name));
  for (const one of group) {
    for (const other of others) {
      fleet.links.set(one, other, { cut: true });
      if (both) fleet.links.set(other, one, { cut: true });
    }
  }
}

const isolate: Fault = async (scene) => {
  const group = (await victims(scene, scene.chance.between(1, Math.max(1, minority(scene))))).map(
    ({ name }) => name,
  );
  if (group.length === 0) return undefined;
  split(scene, group, true);
  await lasting(scene, 300, 4_000);
  scene.fleet.links.heal();
  return group.join(" and ");
};

const oneWay: Fault = async (scene) => {
  const node = await victim(scene);
  if (node === undefined) return undefined;
  const others = scene.fleet.nodes.map(({ name }) => name).filter((name) => name !== node.name);
  const outward = scene.chance.chance(0.5);
  split(scene, outward ? [node.name] : others, false);
  await lasting(scene, 300, 4_000);
  scene.fleet.links.heal();
  return outward ? `nothing leaves ${node.name}` : `nothing reaches ${node.name}`;
};

/** The leader still speaks to all and hears nobody: what it sends may be decided without it. */
const deafLeader: Fault = async (scene) => {
  const leader = await scene.operator.leader();
  if (leader === undefined) return undefined;
  const others = scene.fleet.nodes.map(({ name }) => name).filter((name) => name !== leader.name);
  split(scene, others, false);
  await lasting(scene, 1_000, 4_000);
  scene.fleet.links.heal();
  return leader.name;
};

/** The leader is cut off and stops; when it goes on, another one leads, of whom it hears at once or only later. */
const frozenLeader: Fault = async (scene) => {
  const { fleet, operator, chance, signal } = scene;
  const leader = await operator.leader();
  if (leader === undefined) return undefined;
  split(scene, [leader.name], true);
  await pause(chance.between(20, 200), signal);
  fleet.pause(leader);
  let next: FleetNode | undefined;
  for (let waits = 0; waits < 40 && next === undefined && !signal.aborted; waits++) {
    await pause(100, signal);
    next = await operator.leader();
  }
  await lasting(scene, 0, 500);
  const knows = chance.chance(0.3);
  if (knows) fleet.links.heal();
  fleet.resume(leader);
  await lasting(scene, 500, 1_500);
  fleet.links.heal();
  return `${leader.name}, then ${next?.name ?? "nobody"}${knows ? "" : ", unheard"}`;
};

/** Two nodes do not hear each other; everybody else hears both. */
const bridge: Fault = async (scene) => {
  const [one, other] = (await victims(scene, 2)).map(({ name }) => name);
  if (one === undefined || other === undefined) return undefined;
  scene.fleet.links.set(one, other, { cut: true });
  scene.fleet.links.set(other, one, { cut: true });
  await lasting(scene, 300, 4_000);
  scene.fleet.links.heal();
  return `between ${one} and ${other}`;
};

const delay: Fault = async (scene) => {
  const { fleet, chance } = scene;
  const node = await victim(scene);
  if (node === undefined) return undefined;
  const delayMs = chance.between(20, 400);
  for (const { name } of fleet.nodes) {
    fleet.links.set(node.name, name, { delayMs });
    if (chance.chance(0.5)) fleet.links.set(name, node.name, { delayMs });
  }
  await lasting(scene, 500, 3_000);
  fleet.links.heal();
  return `${node.name} by ${delayMs} ms`;
};

/** Connections break off in the middle of what they carry. */
const reset: Fault = async (scene) => {
  const { fleet, chance } = scene;
  const node = await victim(scene);
  if (node === undefined) return undefined;
  for (let times = chance.between(1, 4); times > 0; times--) {
    for (const { name } of fleet.nodes) fleet.links.reset(node.name, name, chance.between(1, 2_000));
    await lasting(scene, 20, 300);
  }
  return node.name;
};

/** The wall clock of a node is set, for a while: by more than records are kept for, and more often forward. */
const clockLeap: Fault = async (scene) => {
  const node = await victim(scene);
  if (node === undefined) return undefined;
  const hours = scene.chance.between(2, 48);
  const byMs = (scene.chance.chance(0.7) ? hours : -hours) * 3_600_000;
  node.clock.set(byMs);
  await lasting(scene, 1_000, 5_000);
  node.clock.set(0);
  return `${node.name} by ${byMs / 3_600_000} h`;
};

/** What happens to processes and disks, and how often compared with the others. */
export const processFaults: Readonly<Record<string, readonly [weight: number, fault: Fault]>> = {
  kill: [6, kill],
  "kill a minority": [2, killMinority],
  "kill all": [1, killAll],
  stop: [5, stop],
  restart: [3, restart],
  transfer: [4, transfer],
  wipe: [2, wipe],
  damage: [1, damage],
  rollback: [1, rollback],
  twin: [1, twin],
  replace: [2, replace],
  guest: [1, guest],
  "full disk": [3, fullDisk],
  "clock leap": [3, clockLeap],
};

/** What happens to the network. */
export const networkFaults: Readonly<Record<string, readonly [weight: number, fault: Fault]>> = {
  isolate: [5, isolate],
  "one way": [3, oneWay],
  "deaf leader": [4, deafLeader],
  "frozen leader": [5, frozenLeader],
  bridge: [2, bridge],
  delay: [3, delay],
  reset: [5, reset],
};
