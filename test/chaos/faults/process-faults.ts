/** Faults of processes and their clocks. */
import type { FleetNode } from "../fleet.ts";
import { type Fault, type FaultTable, lasting, minority, type Scene, victim, victims } from "./fault.ts";

async function killAndRestart(scene: Scene, nodes: readonly FleetNode[]): Promise<string | undefined> {
  if (nodes.length === 0) return undefined;
  await Promise.all(nodes.map((node) => scene.fleet.end(node, "SIGKILL")));
  await lasting(scene, 50, 2_000);
  for (const node of nodes) await scene.fleet.start(node);
  return nodes.map(({ name }) => name).join(" and ");
}

const killOne: Fault = async (scene) => killAndRestart(scene, await victims(scene, 1));
const killMinority: Fault = async (scene) => killAndRestart(scene, await victims(scene, minority(scene)));
/** Like a power failure of all nodes, except that the kernel's buffers survive. */
const killAll: Fault = async (scene) => killAndRestart(scene, [...scene.fleet.running]);

const pauseNode: Fault = async (scene) => {
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

/** The wall clock of a node jumps for a while: by more than the retention age, and more often forward. */
const clockJump: Fault = async (scene) => {
  const node = await victim(scene);
  if (node === undefined) return undefined;
  const hours = scene.chance.between(2, 48);
  const byMs = (scene.chance.chance(0.7) ? hours : -hours) * 3_600_000;
  node.clock.set(byMs);
  await lasting(scene, 1_000, 5_000);
  node.clock.set(0);
  return `${node.name} by ${byMs / 3_600_000} h`;
};

export const processFaults: FaultTable = {
  kill: [6, killOne],
  "kill minority": [2, killMinority],
  "kill all": [1, killAll],
  pause: [5, pauseNode],
  restart: [3, restart],
  "clock jump": [3, clockJump],
};
