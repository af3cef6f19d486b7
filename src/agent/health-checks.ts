/** The checks of `/readyz` on the ops port. */
import { reasonsNotReady } from "../api/mod.ts";
import type { NodeTls } from "../server/mod.ts";
import type { OpenedCluster } from "./cluster/open-cluster.ts";
import type { NodeReadiness } from "./node-readiness.ts";
import type { OpenedPorts } from "./open-ports.ts";

export interface HealthChecksOptions {
  readonly ops: Pick<OpenedPorts["ops"], "addCheck">;
  readonly tls: NodeTls | undefined;
  readonly cluster: Pick<OpenedCluster, "replica" | "view">;
  readonly readiness: NodeReadiness;
  /** The value of --sync. */
  readonly sync: string;
}

export function addHealthChecks({ ops, tls, cluster, readiness, sync }: HealthChecksOptions): void {
  const { replica, view } = cluster;
  if (tls !== undefined) ops.addCheck({ name: "certificates", check: () => tls.problem ?? true });
  ops.addCheck({ name: "stored", check: () => replica.storedLog.damage?.message ?? true });
  if (sync !== "always") {
    ops.addCheck({ name: "sync", check: () => true, note: `${sync}, acknowledged records can be lost` });
  }
  const { time } = replica;
  ops.addCheck({
    name: "clock",
    // A bad clock makes the node unready only if another voter has a better one.
    check: () => (time.status().successors.length === 0 ? true : (time.problem ?? true)),
    note: () => time.problem,
  });
  ops.addCheck({ name: "serving", check: () => reasonsNotReady(view, readiness).join("; ") || true });
}
