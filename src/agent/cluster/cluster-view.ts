/**
 * The cluster as this node's replica knows it. The leader knows how far everybody is; another node knows that of
 * itself, and of the rest what the leader told it last.
 *
 * Never: asks anybody while it is looked at.
 */
import type { Member, NodeStatus } from "../../raft/mod.ts";
import type { Replica } from "../../replication/mod.ts";
import type { ClusterChange, ClusterView, NodeId, NodeView, Offset, Role } from "../../types.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { extentAt } from "./leader-progress-cache.ts";

/** What is known of another node by other ways than Raft. */
export interface Acquaintance {
  readonly version: string;
  /** Since something was heard from it. */
  readonly lastContactMs: number;
  readonly alive: boolean;
}

/** How far a node is, as the leader told it. */
export interface ToldExtent {
  readonly commitIndex: number;
  readonly lastOffset: Offset;
  readonly lag: number;
}

export interface ClusterViewOptions {
  readonly replica: Pick<Replica, "identity" | "started" | "node" | "storedLog" | "onChange">;
  /** Empty while this node belongs to none. */
  readonly clusterId: () => string;
  readonly rpcAddr: string;
  readonly version: string;
  readonly acquaintance?: (name: NodeId) => Acquaintance | undefined;
  readonly told?: (name: NodeId) => ToldExtent | undefined;
  /** Why members refuse this node's links, or it theirs. */
  readonly refusals?: () => readonly string[];
  /** Resolves when what is told is not old, or cannot be had. */
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
    onChange: (listener) => tellChanges(options, listener),
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
    healthy: replica.storedLog.failure === undefined,
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
  const known = options.acquaintance?.(name);
  const extent = extentOf(options, member, now);
  return {
    id: name,
    rpcAddr: address,
    role: isLeader ? "leader" : isVoter ? "follower" : "learner",
    isLeader,
    term,
    commitIndex: extent.commitIndex,
    appliedIndex: extent.commitIndex,
    lastOffset: extent.lastOffset,
    lag: extent.lag,
    lastContactMs: known?.lastContactMs ?? 0,
    version: known?.version ?? "",
    healthy: now.progress?.get(peer)?.active ?? known?.alive ?? isLeader,
  };
}

/** The leader knows it from its acknowledgements. */
function extentOf(options: ClusterViewOptions, { peer, name }: Member, now: NodeStatus): ToldExtent {
  const progress = now.progress?.get(peer);
  const log = options.replica.storedLog;
  if (progress === undefined) {
    return options.told?.(name) ?? { commitIndex: 0, lastOffset: 0, lag: 0 };
  }
  return extentAt(log, Math.min(progress.match, log.commitIndex));
}

/** A new leader is an election; any other change of what Raft knows is an update of this node. */
function tellChanges(
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
