/**
 * The cluster view of a service under test: one node, leader of itself in term 1, never changing.
 *
 * Never: knows another node.
 */
import type { ClusterView, NodeView, Offset, RaftIndex } from "../../src/types.ts";

export interface SingleViewOptions {
  /** How far the log goes now. */
  readonly extent: () => { readonly next: Offset; readonly index: RaftIndex };
  readonly nodeId: string;
  readonly clusterId: string;
  readonly rpcAddr: string;
  readonly version: string;
}

export function singleView(options: SingleViewOptions): ClusterView {
  const { nodeId, clusterId, rpcAddr, version } = options;
  return {
    nodeId,
    clusterId,
    term: 1,
    leaderId: nodeId,
    hasQuorum: true,
    nodes(): readonly NodeView[] {
      const { next, index } = options.extent();
      const node: NodeView = {
        id: nodeId,
        rpcAddr,
        role: "leader",
        isLeader: true,
        term: 1,
        commitIndex: index,
        appliedIndex: index,
        lastOffset: Math.max(0, next - 1),
        lag: 0,
        lastContactMs: 0,
        version,
        healthy: true,
      };
      return [node];
    },
    onChange: () => () => undefined,
  };
}
