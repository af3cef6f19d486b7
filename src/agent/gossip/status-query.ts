/**
 * The query that a node answers itself, so that `serf query tailrace-status` shows a cluster at a glance: one line of
 * JSON a node, what Status would say and no more.
 *
 * Never: answers other queries; changes anything.
 */
import type { Membership } from "../../membership/mod.ts";
import type { ClusterView } from "../../types.ts";

const statusQuery = "tailrace-status";

/** Answers from now on; the return value ends it. */
export function answerStatus(membership: Membership, view: ClusterView): () => void {
  return membership.onEvent((event) => {
    if (event.kind !== "query" || event.query.name !== statusQuery) return;
    const own = view.nodes().find(({ id }) => id === view.nodeId);
    const status = {
      id: view.nodeId,
      role: own?.role ?? "learner",
      term: view.term,
      leader: view.leaderId ?? "",
      commit: own?.commitIndex ?? 0,
      applied: own?.appliedIndex ?? 0,
      version: own?.version ?? "",
    };
    event.query.respond(Buffer.from(JSON.stringify(status)));
  });
}
