/** The cluster as a node sees it: what the API needs of the module that builds the node. */
import type { NodeId, Offset, RaftIndex, Role, Term } from "../types.ts";

/** A node as another node sees it. */
export interface NodeView {
  readonly id: NodeId;
  readonly rpcAddr: string;
  readonly role: Role;
  readonly isLeader: boolean;
  readonly term: Term;
  readonly commitIndex: RaftIndex;
  readonly appliedIndex: RaftIndex;
  readonly lastOffset: Offset;
  readonly lag: number;
  readonly lastContactMs: number;
  readonly version: string;
  /** It responds. For the node itself: its disk works, and it was not removed from the cluster. */
  readonly healthy: boolean;
}

/** The cluster as this node sees it. A single node is a cluster of one. */
export interface ClusterView {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly term: Term;
  readonly leaderId: NodeId | undefined;
  readonly hasQuorum: boolean;
  nodes(): readonly NodeView[];
  /** Why reachable members refuse this node, or it refuses them. Empty if there is no refusal. */
  refusals?(): readonly string[];
  /** Resolves when nodes() is as fresh as possible: when the leader has responded, or has not responded in time. */
  fresh?(): Promise<void>;
  /** Calls `listener` on every change of role, term, members or membership. The returned function removes it. */
  onChange(listener: (change: ClusterChange) => void): () => void;
}

export interface ClusterChange {
  readonly name: NodeId;
  readonly change: "joined" | "left" | "failed" | "updated" | "reaped" | "elected";
  readonly addr: string;
}
