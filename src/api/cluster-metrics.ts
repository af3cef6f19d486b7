/**
 * The cluster as metrics, looked at when somebody looks. One series a node: the attribute is a node's name, of which
 * there are as many as nodes.
 *
 * Never: keeps anything.
 */
import type { Metrics, Observation } from "../lib/telemetry.ts";
import type { ClusterView, NodeView } from "../types.ts";

export function observeCluster(metrics: Metrics, cluster: ClusterView): void {
  const each = (name: string, unit: string, description: string, of: (node: NodeView) => number): void => {
    const observe = (): Observation[] =>
      cluster.nodes().map((node) => ({ value: of(node), attributes: { "tailrace.node": node.id } }));
    metrics.gauge(`tailrace.cluster.${name}`, { description, unit }, observe);
  };
  each("lag", "{record}", "Records a node is behind the leader, as this node knows it", ({ lag }) => lag);
  each("leader", "1", "1 for the node that leads", ({ isLeader }) => (isLeader ? 1 : 0));
  const term = { description: "The term this node is in", unit: "1" };
  metrics.gauge("tailrace.cluster.term", term, () => cluster.term);
}
