/**
 * The cluster as this node's replica knows it. The leader knows the log progress of all members. Another node knows its
 * own, and for the others the last values from the leader. Reading the view never waits for another node.
 */

import type { ClusterChange, ClusterView, NodeView } from "../../api/mod.ts";
import type { Member, NodeStatus } from "../../raft/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import type { NodeId, Role } from "../../types.ts";
import { type LogProgress, progressAt } from "./log-progress.ts";

/** What the peer link knows about another node. */
export interface PeerContact {
  readonly version: string;
  /** Milliseconds since the last message from it. */
  readonly lastContactMs: number;
  readonly alive: boolean;
}

export interface ClusterViewOptions {
  readonly replica: Pick<
    Replica,
    "identity" | "started" | "node" | "storedLog" | "onChange" | "membershipFault"
  >;
  /** Empty while this node belongs to no cluster. */
  readonly clusterId: () => string;
  readonly rpcAddr: string;
  readonly version: string;
  readonly contact?: (name: NodeId) => PeerContact | undefined;
  /** A member's progress, as the leader last reported it. */
  readonly progress?: (name: NodeId) => LogProgress | undefined;
  /** Why members refuse links with this node, or this node with members. */
  readonly refusals?: () => readonly string[];
  /** Resolves when the leader's report is fresh, or cannot be fetched in time. */
  readonly fresh?: () => Promise<void>;
}

export function clusterViewOf(options: ClusterViewOptions): ClusterView {
  const { replica } = options;
  const nodeId = replica.identity.name;
  const status = (): NodeStatus | undefined => (replica.started ? replica.node.status() : undefined);
  return {
    nodeId,
    get clusterId() {
      return options.clusterId();
    },
    get term() {
      return replica.started ? replica.node.term : 0;
    },
    get leaderId() {
      return replica.started ? replica.node.leader?.name : undefined;
    },
    get hasQuorum() {
      return replica.started && replica.node.leader !== undefined;
    },
    nodes() {
      const now = status();
      const own = ownView(options, now);
      const members = now?.configuration.roster?.members ?? [];
      const others = members.filter(({ peer }) => peer !== replica.identity.peer);
      return [own, ...others.map((member) => otherView(options, member, now!))].sort(byId);
    },
    refusals: () => options.refusals?.() ?? [],
    ...(options.fresh === undefined ? {} : { fresh: options.fresh }),
    onChange: (listener) => watchChanges(options, listener),
  };
}

const byId = (a: NodeView, b: NodeView): number => (a.id < b.id ? -1 : 1);

function ownView({ replica, rpcAddr, version }: ClusterViewOptions, now: NodeStatus | undefined): NodeView {
  const { bounds, commitIndex } = replica.storedLog;
  const role = now === undefined ? "learner" : ownRole(now);
  return {
    id: replica.identity.name,
    rpcAddr,
    role,
    isLeader: role === "leader",
    term: now?.term ?? 0,
    commitIndex: now?.commit ?? commitIndex,
    appliedIndex: commitIndex,
    lastOffset: Math.max(0, bounds.next - 1),
    lag: 0,
    lastContactMs: 0,
    version,
    // A node that was removed, or is refused by the members, responds but has no part in the cluster.
    healthy: replica.storedLog.failure === undefined && replica.membershipFault === undefined,
  };
}

function ownRole({ role, id, configuration }: NodeStatus): Role {
  if (role === "leader") return "leader";
  if (!configuration.voters.includes(id) && !configuration.votersOutgoing.includes(id)) return "learner";
  return role === "follower" ? "follower" : "candidate";
}

function otherView(options: ClusterViewOptions, member: Member, now: NodeStatus): NodeView {
  const { peer, name, address } = member;
  const { configuration, leader, term } = now;
  const isVoter = configuration.voters.includes(peer) || configuration.votersOutgoing.includes(peer);
  const isLeader = leader === peer;
  const known = options.contact?.(name);
  const progress = progressOf(options, member, now);
  return {
    id: name,
    rpcAddr: address,
    role: isLeader ? "leader" : isVoter ? "follower" : "learner",
    isLeader,
    term,
    commitIndex: progress.commitIndex,
    appliedIndex: progress.commitIndex,
    lastOffset: progress.lastOffset,
    lag: progress.lag,
    lastContactMs: known?.lastContactMs ?? 0,
    version: known?.version ?? "",
    healthy: now.progress?.get(peer)?.active ?? known?.alive ?? isLeader,
  };
}

/** The leader knows the progress of a member from its acknowledgments. */
function progressOf(options: ClusterViewOptions, { peer, name }: Member, now: NodeStatus): LogProgress {
  const progress = now.progress?.get(peer);
  const log = options.replica.storedLog;
  if (progress === undefined) {
    return options.progress?.(name) ?? { commitIndex: 0, lastOffset: 0, lag: 0 };
  }
  return progressAt(log, Math.min(progress.match, log.commitIndex));
}

/** Reports a new leader as "elected", and any other change of Raft's state as an update of this node. */
function watchChanges(
  { replica, rpcAddr }: ClusterViewOptions,
  listener: (change: ClusterChange) => void,
): () => void {
  let leader = replica.started ? replica.node.leader?.name : undefined;
  return replica.onChange(({ leaderMember }) => {
    const elected = leaderMember !== undefined && leaderMember.name !== leader;
    leader = leaderMember?.name;
    if (elected) listener({ name: leaderMember.name, change: "elected", addr: leaderMember.address });
    else listener({ name: replica.identity.name, change: "updated", addr: rpcAddr });
  });
}
