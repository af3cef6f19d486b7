/** Changes of the members: leadership transfer, replacement, an additional node for a while. */
import { pause } from "../clients/client-context.ts";
import type { Operator } from "../operator.ts";
import {
  expendable,
  type Fault,
  type FaultTable,
  isCalm,
  lasting,
  noSignal,
  outcome,
  whole,
} from "./fault.ts";

const transfer: Fault = async ({ fleet, operator, chance }) => {
  const leader = await operator.leader();
  const others = fleet.running.filter((node) => node !== leader);
  if (leader === undefined || others.length === 0) return undefined;
  const to = chance.pick(others);
  try {
    await operator.transfer(to);
  } catch {
    return undefined;
  }
  return `${leader.name} to ${to.name}`;
};

/**
 * Removes a node; resolves to whether it is removed. If the answer was lost, the request may still be in progress, and
 * the node itself or a follower may report old members. So the request is sent again until there is a definite answer.
 */
async function removed(operator: Operator, name: string, insists: boolean): Promise<boolean> {
  const first = await operator.remove(name);
  if (first === true || (first === false && !insists)) return first;
  for (let tries = 0; tries < 40; tries++) {
    await pause(500, noSignal);
    if ((await operator.remove(name)) === true) return true;
  }
  return false;
}

/** A node is removed, and an empty node with its name is added. */
const replace: Fault = async (scene) => {
  const { fleet, operator } = scene;
  const node = await expendable(scene);
  if (node === undefined || !(await removed(operator, node.name, false))) return undefined;
  await lasting(scene, 100, 1_000);
  await fleet.end(node, "SIGKILL");
  fleet.wipe(node);
  await fleet.start(node);
  return `${node.name}${await outcome(scene)}`;
};

/** A node is added and removed again. */
const addAndRemove: Fault = async (scene) => {
  const { fleet, operator, chance } = scene;
  if (!(await isCalm(scene))) return undefined;
  const name = `guest${chance.between(1, 99_999)}`;
  const node = await fleet.add(name);
  await fleet.start(node);
  const joined = await whole(scene);
  await lasting(scene, 200, 1_500);
  // Also after the end of the run: a node that was added must be removed.
  await removed(operator, name, true);
  await fleet.retire(node);
  return `${name}${joined ? "" : " (never whole)"}`;
};

export const memberFaults: FaultTable = {
  transfer: [4, transfer],
  replace: [2, replace],
  "add and remove": [1, addAndRemove],
};
