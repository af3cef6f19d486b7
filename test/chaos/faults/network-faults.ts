/** Faults of the network between the nodes. Clients are not affected. */
import { pause } from "../clients/client-context.ts";
import type { FleetNode } from "../fleet.ts";
import { type Fault, type FaultTable, lasting, minority, type Scene, victim, victims } from "./fault.ts";

/** Cuts the links from `group` to all other nodes, and those back if `both`. */
function cut(scene: Scene, group: readonly string[], both: boolean): void {
  const { fleet } = scene;
  const others = fleet.nodes.map(({ name }) => name).filter((name) => !group.includes(name));
  for (const one of group) {
    for (const other of others) {
      fleet.links.set(one, other, { cut: true });
      if (both) fleet.links.set(other, one, { cut: true });
    }
  }
}

const namesExcept = ({ fleet }: Scene, node: FleetNode): string[] =>
  fleet.nodes.map(({ name }) => name).filter((name) => name !== node.name);

const partition: Fault = async (scene) => {
  const count = scene.chance.between(1, Math.max(1, minority(scene)));
  const group = (await victims(scene, count)).map(({ name }) => name);
  if (group.length === 0) return undefined;
  cut(scene, group, true);
  await lasting(scene, 300, 4_000);
  scene.fleet.links.heal();
  return group.join(" and ");
};

const oneWay: Fault = async (scene) => {
  const node = await victim(scene);
  if (node === undefined) return undefined;
  const outward = scene.chance.chance(0.5);
  cut(scene, outward ? [node.name] : namesExcept(scene, node), false);
  await lasting(scene, 300, 4_000);
  scene.fleet.links.heal();
  return outward ? `nothing leaves ${node.name}` : `nothing reaches ${node.name}`;
};

/** The leader sends to all and receives from none: its entries may be committed without it. */
const leaderReceivesNothing: Fault = async (scene) => {
  const leader = await scene.operator.leader();
  if (leader === undefined) return undefined;
  cut(scene, namesExcept(scene, leader), false);
  await lasting(scene, 1_000, 4_000);
  scene.fleet.links.heal();
  return leader.name;
};

/** The leader is cut off and paused. When it resumes, another node leads, and the old leader learns of it early or late. */
const pausedLeader: Fault = async (scene) => {
  const { fleet, operator, chance, signal } = scene;
  const leader = await operator.leader();
  if (leader === undefined) return undefined;
  cut(scene, [leader.name], true);
  await pause(chance.between(20, 200), signal);
  fleet.pause(leader);
  let next: FleetNode | undefined;
  for (let waits = 0; waits < 40 && next === undefined && !signal.aborted; waits++) {
    await pause(100, signal);
    next = await operator.leader();
  }
  await lasting(scene, 0, 500);
  const learnsEarly = chance.chance(0.3);
  if (learnsEarly) fleet.links.heal();
  fleet.resume(leader);
  await lasting(scene, 500, 1_500);
  fleet.links.heal();
  return `${leader.name}, then ${next?.name ?? "no leader"}${learnsEarly ? "" : ", learned late"}`;
};

/** Two nodes cannot reach each other; all other nodes reach both. */
const pairPartition: Fault = async (scene) => {
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

/** Connections are reset in the middle of a frame. */
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

export const networkFaults: FaultTable = {
  partition: [5, partition],
  "one way": [3, oneWay],
  "leader receives nothing": [4, leaderReceivesNothing],
  "paused leader": [5, pausedLeader],
  "pair partition": [2, pairPartition],
  delay: [3, delay],
  reset: [5, reset],
};
