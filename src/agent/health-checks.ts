/** The checks of `/readyz` on the ops port, and the metric of the last of them. */
import { reasonsNotReady } from "../api/mod.ts";
import type { Metrics } from "../lib/telemetry.ts";
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
  readonly metrics: Metrics;
}

export function addHealthChecks(options: HealthChecksOptions): void {
  const { ops, tls, cluster, readiness, sync, metrics } = options;
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
  const reasons = (): readonly string[] => reasonsNotReady(view, readiness);
  ops.addCheck({ name: "serving", check: () => reasons().join("; ") || true });
  metrics.gauge("tailrace.ready", { description: "1 if the node serves requests, else 0", unit: "1" }, () =>
    reasons().length === 0 ? 1 : 0,
  );
}
