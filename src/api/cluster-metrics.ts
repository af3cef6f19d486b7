/**
 * Metrics of the cluster, read when metrics are collected. Each metric has one series per node.
 */
import type { Metrics, Observation } from "../lib/telemetry.ts";
import type { ClusterView, NodeView } from "./cluster-view.ts";

/** Registers the metrics of the cluster. */
export function observeCluster(metrics: Metrics, cluster: ClusterView): void {
  const each = (name: string, unit: string, description: string, of: (node: NodeView) => number): void => {
    const observe = (): Observation[] =>
      cluster.nodes().map((node) => ({ value: of(node), attributes: { "tailrace.node": node.id } }));
    metrics.gauge(`tailrace.cluster.${name}`, { description, unit }, observe);
  };
  each("lag", "{record}", "Records that a node is behind the leader, as seen by this node", ({ lag }) => lag);
  each("leader", "1", "1 for the leader", ({ isLeader }) => (isLeader ? 1 : 0));
  const term = { description: "The term this node is in", unit: "1" };
  metrics.gauge("tailrace.cluster.term", term, () => cluster.term);
}
