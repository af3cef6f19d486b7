/**
 * What must hold for a node to be ready, besides the reasons that its parts set: valid certificates, stored data without
 * damage, and a clock that is not worse than that of another voter. `/readyz` on the ops port shows each as a check of its own.
 */
import { reasonsNotReady } from "../api/mod.ts";
import type { LogSpace, SpaceUse } from "../lib/disk/space-use.ts";
import type { Metrics } from "../lib/telemetry.ts";
import type { Clock, Timer } from "../lib/time/clock.ts";
import type { NodeTls } from "../server/mod.ts";
import type { OpenedCluster } from "./cluster/open-cluster.ts";
import type { Condition, NodeReadiness } from "./node-readiness.ts";
import type { OpenedPorts } from "./open-ports.ts";

export interface HealthChecksOptions {
  readonly ops: Pick<OpenedPorts["ops"], "addCheck">;
  readonly tls: NodeTls | undefined;
  /** The value of --allow-expired-certificates: such a certificate is a note then. */
  readonly allowExpired: boolean;
  readonly cluster: Pick<OpenedCluster, "replica" | "view">;
  readonly readiness: NodeReadiness;
  /** The value of --sync. */
  readonly sync: string;
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, "after">;
}

/** How often the conditions are asked. */
const lookMs = 1_000;

/** Adds the conditions and the checks. Disposing ends the timer that asks the conditions. */
export function addHealthChecks(options: HealthChecksOptions): Disposable {
  const { ops, tls, allowExpired, cluster, readiness, sync, metrics, clock } = options;
  const { replica, view } = cluster;
  const mustHold = (name: string, condition: Condition, note?: Condition): void => {
    readiness.require(name, condition);
    ops.addCheck({ name, check: () => condition() ?? true, ...(note === undefined ? {} : { note }) });
  };
  if (tls !== undefined) {
    if (allowExpired) ops.addCheck({ name: "certificates", check: () => true, note: () => tls.problem });
    else mustHold("certificates", () => tls.problem);
  }
  mustHold("stored", () => replica.storedLog.damage?.message);
  if (sync !== "always") {
    ops.addCheck({ name: "sync", check: () => true, note: `${sync}, acknowledged records can be lost` });
  }
  const { time } = replica;
  // A bad clock makes the node unready only if another voter has a better one.
  const clockProblem: Condition = () => (time.status().successors.length === 0 ? undefined : time.problem);
  mustHold("clock", clockProblem, () => time.problem);
  ops.addCheck({ name: "space", check: () => true, note: () => noteOfSpace(replica.storedLog) });
  const parts = { reasons: () => readiness.partReasons() };
  ops.addCheck({ name: "serving", check: () => reasonsNotReady(view, parts).join("; ") || true });
  metrics.gauge("tailrace.ready", { description: "1 if the node serves requests, else 0", unit: "1" }, () =>
    reasonsNotReady(view, readiness).length === 0 ? 1 : 0,
  );
  return lookPeriodically(readiness, clock);
}

function noteOfSpace({ settler, refusal }: OpenedCluster["replica"]["storedLog"]): string | undefined {
  return spaceNote(settler?.space, settler?.settles === true, refusal?.kind === "disk-full");
}

function lookPeriodically(readiness: NodeReadiness, clock: Pick<Clock, "after">): Disposable {
  let timer: Timer;
  const again = (): void => {
    timer = clock.after(lookMs, () => {
      readiness.look();
      again();
    });
  };
  again();
  return { [Symbol.dispose]: () => timer.cancel() };
}

/** Less is no reason for a note, unless the disk is full. */
const bytesMin = 64 * 2 ** 20;
const partMin = 0.1;
const namesMax = 3;

/** What `/readyz` says about the space that removed records hold. Undefined while it is of no concern. `settles`: the node gives it back. */
export function spaceNote(
  space: SpaceUse | undefined,
  settles: boolean,
  isFull: boolean,
): string | undefined {
  if (space === undefined) return undefined;
  const { bytes, removedBytes, reclaimableBytes, keeping, removed } = space;
  const isMuch = removedBytes >= Math.max(bytesMin, partMin * bytes);
  if (!isMuch && !isFull) return undefined;
  const named = [["most of", removed] as const, ["kept by", keeping] as const]
    .filter(([, logs]) => logs.length > 0)
    .map(([what, logs]) => `, ${what} ${logs.slice(0, namesMax).map(textOf).join(", ")}`);
  return `removed records hold ${size(removedBytes)} of ${size(bytes)}${named.join("")}; ${advice(settles, reclaimableBytes)}`;
}

function advice(settles: boolean, bytes: number): string {
  if (bytes === 0) return "settling gives nothing back: trim or delete logs";
  if (settles) return `settling gives about ${size(bytes)} back`;
  return `settling would give about ${size(bytes)} back: set --settle-bytes-per-second, or trim the logs that keep the files`;
}

const textOf = ({ name, bytes }: LogSpace): string => `"${name}" ${size(bytes)}`;
const size = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
