/**
 * The query that a node answers itself, so that `serf query tailrace-status` shows the cluster: one line of JSON per
 * node with a part of what the Status call returns.
 */

import type { ClusterView } from "../../api/mod.ts";
import type { Membership } from "../../membership/mod.ts";

const statusQuery = "tailrace-status";

/** Responds to the query from now on. Returns a function that ends that. */
export function answerStatusQuery(membership: Pick<Membership, "onEvent">, view: ClusterView): () => void {
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
