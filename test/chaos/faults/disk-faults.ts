/** Faults of disks and data directories: lost, damaged, rolled back, copied, full. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../../src/lib/prng.ts";
import { tailrace } from "../../support/process/process.ts";
import { pause } from "../clients/client-context.ts";
import type { Fleet, FleetNode } from "../fleet.ts";
import {
  expendable,
  type Fault,
  type FaultTable,
  lasting,
  noSignal,
  outcome,
  type Scene,
  whole,
} from "./fault.ts";

/** A node loses its disk and starts with its old name. */
const wipe: Fault = async (scene) => {
  const { fleet } = scene;
  const node = await expendable(scene);
  if (node === undefined) return undefined;
  await fleet.end(node, "SIGKILL");
  fleet.wipe(node);
  await lasting(scene, 100, 1_000);
  await fleet.start(node);
  return `${node.name}${await outcome(scene)}`;
};

/** A bit in a sealed segment of a node is flipped; the node is repaired and has to catch up. */
const damage: Fault = async (scene) => {
  const { fleet, chance } = scene;
  const node = await expendable(scene);
  if (node === undefined) return undefined;
  await fleet.end(node, "SIGKILL");
  const at = flipBit(join(node.directory, "log"), chance);
  if (at !== undefined && !(await repair(fleet, node)).includes("repaired next="))
    fleet.failures.push(`repair of ${node.name} found no damage`);
  await fleet.start(node);
  return at === undefined ? undefined : `${node.name}, ${at}${await outcome(scene)}`;
};

/** Repairs the directory of a node; resolves to the output. */
async function repair(fleet: Fleet, node: FleetNode): Promise<string> {
  const { status, out, err } = await tailrace(["repair", node.directory, "--yes"]);
  if (status !== 0) fleet.failures.push(`${node.name} could not be repaired: ${out}${err}`);
  return out;
}

/** Flips a bit of a sealed segment, if there is one. Returns its file and position. */
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

const refusal = "the other members refuse its data directory";

/** Waits until the node, or copy, logs that the others refuse it. Resolves to whether it did within 45 s. */
async function isRefused({ fleet }: Scene, name: string, since: number): Promise<boolean> {
  for (const last = performance.now() + 45_000; performance.now() < last; await pause(200, noSignal)) {
    if (fleet.logSince(name, since).includes(refusal)) return true;
  }
  return false;
}

/** A directory is replaced by an older copy of itself, from this run of the process or the one before. */
const rollback: Fault = async (scene) => {
  const { fleet, chance } = scene;
  const node = await expendable(scene);
  if (node === undefined) return undefined;
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
  const refused = await isRefused(scene, node.name, since);
  // Without a restart, a node behind a cut network may have had nothing to lose.
  if (!refused && restarts)
    fleet.failures.push(`${node.name} was rolled back, and the others have accepted it`);
  await fleet.end(node, "SIGKILL");
  if (refused && chance.chance(0.5)) await repair(fleet, node);
  else fleet.wipe(node);
  await fleet.start(node);
  const how = `${restarts ? ", with a restart between" : ""}${refused ? "" : ", with nothing lost"}`;
  return `${node.name}${how}${await outcome(scene)}`;
};

/** A copy of a running member's directory is started beside it. */
const duplicate: Fault = async (scene) => {
  const { fleet } = scene;
  const node = await expendable(scene);
  if (node === undefined) return undefined;
  const copy = fleet.copy(node);
  const name = `${node.name}-copy`;
  const since = fleet.logged(name);
  const second = await fleet.startCopy(node, copy);
  const refused = await isRefused(scene, name, since);
  await lasting(scene, 500, 2_000);
  const exit = await fleet.endCopy(second);
  fleet.discard(copy);
  if (exit !== undefined) fleet.failures.push(`the copy of ${node.name} ended with ${exit}`);
  else if (!refused) fleet.failures.push(`the copy of ${node.name} was not refused`);
  return node.name;
};

const fullDisk: Fault = async (scene) => {
  if (scene.disks.size === 0) return undefined;
  const [name, disk] = scene.chance.pick([...scene.disks]);
  disk.fill();
  await lasting(scene, 500, 3_000);
  disk.empty();
  return name;
};

export const diskFaults: FaultTable = {
  wipe: [2, wipe],
  damage: [1, damage],
  rollback: [1, rollback],
  duplicate: [1, duplicate],
  "full disk": [3, fullDisk],
};
