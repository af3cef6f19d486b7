/**
 * Why a node is not ready, in sentences that say what to do. If members respond and refuse this node, the advice for a
 * lost quorum would be wrong, so it is left out.
 */
import type { ClusterView } from "./cluster-view.ts";
import { quorumAdvice } from "./quorum-advice.ts";

/** Whether the node is ready to serve. */
export interface Readiness {
  /** Why it is not ready. Empty if it is. */
  reasons(): readonly string[];
  /** Calls back when the reasons may have changed. The returned function ends that. */
  onChange(listener: () => void): () => void;
}

/** Returns the reasons; empty if the node is ready. */
export function reasonsNotReady(
  cluster: Pick<ClusterView, "leaderId" | "nodes" | "refusals">,
  readiness: Pick<Readiness, "reasons">,
): readonly string[] {
  const reasons = readiness.reasons();
  if (cluster.leaderId !== undefined) return reasons;
  const refusals = cluster.refusals?.() ?? [];
  if (refusals.length > 0) {
    // Some refusals repeat a reason and add the addresses of the members.
    const added = refusals.filter((refusal) => !reasons.some((reason) => refusal.startsWith(reason)));
    return [...reasons, ...added];
  }
  const quorum = quorumAdvice(cluster.nodes());
  return quorum === undefined ? reasons : [...reasons, quorum];
}
