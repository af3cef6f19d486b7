/**
 * Why a node is not ready, in sentences that say what to do. If members respond and refuse this node, the advice for a
 * lost quorum would be wrong, so it is left out.
 */
import type { ClusterView } from "../types.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Readiness } from "./methods/cluster-service.ts";
import { lostQuorum } from "./quorum-advice.ts";

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
  const quorum = lostQuorum(cluster.nodes());
  return quorum === undefined ? reasons : [...reasons, quorum];
}
