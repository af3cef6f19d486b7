/**
 * A fault: it begins, lasts, and ends. After it the cluster has all its nodes again. Helpers that several faults share.
 *
 * No fault destroys the last copy of an acknowledged record: only one node at a time loses its disk, and the next one
 * only when the first has all records again.
 */
import type { Prng } from "../../../src/lib/prng.ts";
import type { SmallDisk } from "../../support/disk/small-disk.ts";
import type { FaultyProxy } from "../../support/objects/faulty-proxy.ts";
import { pause } from "../clients/client-context.ts";
import type { Fleet, FleetNode } from "../fleet.ts";
import type { Operator } from "../operator.ts";

export interface Scene {
  readonly fleet: Fleet;
  readonly operator: Operator;
  readonly chance: Prng;
  /** Aborted at the end of the run: a fault that lasts then ends. */
  readonly signal: AbortSignal;
  /** The small disks of nodes, by node. */
  readonly disks: ReadonlyMap<string, SmallDisk>;
  /** The proxy before the place of backups. */
  readonly bucket: Pick<FaultyProxy, "trouble" | "seen"> | undefined;
  /** Multiplies every duration. */
  readonly tempo: number;
}

/** Resolves to a description for people; undefined if the fault was not possible now. */
export type Fault = (scene: Scene) => Promise<string | undefined>;

/** A fault and its weight in the random choice. */
export type FaultTable = Readonly<Record<string, readonly [weight: number, fault: Fault]>>;

/** Never aborted: for waits that must not end with the run. */
export const noSignal = new AbortController().signal;

/** Waits between `low` and `high` milliseconds times the tempo, or until the run ends. */
export const lasting = ({ chance, tempo, signal }: Scene, low: number, high: number): Promise<void> =>
  pause(chance.between(low, high) * tempo, signal);

/** A running node: the leader half of the time. */
export async function victim({ operator, fleet, chance }: Scene): Promise<FleetNode | undefined> {
  const leader = chance.chance(0.5) ? await operator.leader() : undefined;
  return leader ?? (fleet.running.length === 0 ? undefined : chance.pick(fleet.running));
}

export async function victims(scene: Scene, count: number): Promise<readonly FleetNode[]> {
  const first = await victim(scene);
  const others = scene.chance.shuffle(scene.fleet.running.filter((node) => node !== first));
  return first === undefined ? [] : [first, ...others].slice(0, count);
}

/** The largest number of nodes without which the others are a majority. */
export const minority = ({ fleet }: Scene): number => Math.floor((fleet.nodes.length - 1) / 2);

/** Waits until all nodes are voters with all records, at most `limitMs`. Resolves to whether they are. */
export async function whole({ operator, signal }: Scene, limitMs = 45_000): Promise<boolean> {
  for (const last = performance.now() + limitMs; performance.now() < last && !signal.aborted; ) {
    if (await operator.isWhole()) return true;
    await pause(250, signal);
  }
  return false;
}

/** `not whole yet`, if the cluster does not become whole. */
export const outcome = async (scene: Scene): Promise<string> =>
  (await whole(scene)) ? "" : " (not whole yet)";

/**
 * Picks a node that may lose its disk: all nodes run and have all records. The fault before may have just ended, so this
 * waits for up to 15 s. Undefined if the cluster does not become whole.
 */
export async function expendable(scene: Scene): Promise<FleetNode | undefined> {
  if (!(await isCalm(scene))) return undefined;
  const node = await victim(scene);
  return scene.signal.aborted ? undefined : node;
}

/** Do all nodes run, with all records? Waits for up to 15 s. */
export async function isCalm(scene: Scene): Promise<boolean> {
  const { fleet } = scene;
  return fleet.nodes.length > 2 && fleet.running.length === fleet.nodes.length && whole(scene, 15_000);
}
