/** The cluster view of a service under test: a single node that is always the leader, in term 1. */
import type { ClusterView, NodeView } from "../../../src/api/cluster-view.ts";
import type { Offset, RaftIndex } from "../../../src/types.ts";

export interface SingleViewOptions {
  /** The current end of the log. */
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
