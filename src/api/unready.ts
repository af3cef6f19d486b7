/**
 * Why a node is not ready, in sentences that name the way back.
 *
 * Never: says how to bring a lost quorum back to a node whose members answer it, and refuse it.
 */
import type { ClusterView } from "../types.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import type { Readiness } from "./methods/cluster-service.ts";
import { lostQuorum } from "./quorum-advice.ts";

/** Empty when it is ready. Pure. */
export function reasonsNotReady(
  cluster: Pick<ClusterView, "leaderId" | "nodes" | "refusals">,
  readiness: Pick<Readiness, "reasons">,
): readonly string[] {
  const reasons = readiness.reasons();
  if (cluster.leaderId !== undefined) return reasons;
  const refusals = cluster.refusals?.() ?? [];
  if (refusals.length > 0) {
    // Some begin as a reason does, and say where the members are.
    const news = refusals.filter((refusal) => !reasons.some((reason) => refusal.startsWith(reason)));
    return [...reasons, ...news];
  }
  const quorum = lostQuorum(cluster.nodes());
  return quorum === undefined ? reasons : [...reasons, quorum];
}
