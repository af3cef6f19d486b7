/**
 * The cluster view of a node that is alone: leader of itself in term 1, never changing.
 *
 * Never: knows another node.
 */
import type { ClusterView, CommitLog, NodeView, Offset } from "../vocabulary.ts";

export interface SingleNodeOptions {
  readonly log: CommitLog;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly rpcAddr: string;
  readonly version: string;
}

export function singleNode(options: SingleNodeOptions): ClusterView {
  const { log, nodeId, clusterId, rpcAddr, version } = options;
  let next: Offset = 0;
  // The view is synchronous and the log's bounds are not: each look brings the next one up to date.
  const refresh = (): void => {
    log.bounds({ mode: "any" }).then(
      (bounds) => {
        next = bounds.next;
      },
      () => undefined,
    );
  };
  refresh();
  return {
    nodeId,
    clusterId,
    term: 1,
    leaderId: nodeId,
    hasQuorum: true,
    nodes(): readonly NodeView[] {
      refresh();
      const node: NodeView = {
        id: nodeId,
        rpcAddr,
        role: "leader",
        isLeader: true,
        term: 1,
        commitIndex: 0,
        appliedIndex: 0,
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
