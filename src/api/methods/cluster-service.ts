/**
 * The RPCs of log.v1.Cluster that any node can answer about itself: Status and WhoAmI. What changes a cluster is
 * handed in by whoever can change it; what is not handed in is unimplemented.
 *
 * Never: changes the cluster by itself.
 */
import type { ServiceImpl } from "@connectrpc/connect";
import type { AccessControl } from "../../access/mod.ts";
import type { Cluster } from "../../gen/log/v1/log_pb.js";
import type { ClusterView } from "../../types.ts";
import { callOf } from "../calls/call-context.ts";
// biome-ignore lint/suspicious/noImportCycles: known circle, to be removed
import { reasonsNotReady } from "../unready.ts";

/** Is the node ready to serve? */
export interface Readiness {
  /** Why not; empty when ready. */
  reasons(): readonly string[];
  /** Calls back when the answer may have changed; the answer ends it. */
  onChange(listener: () => void): () => void;
}

export type ClusterOperations = Partial<Omit<ServiceImpl<typeof Cluster>, "status" | "whoAmI">>;

export interface ClusterServiceOptions {
  readonly cluster: ClusterView;
  readonly access: Pick<AccessControl, "allowedActions">;
  readonly readiness: Readiness;
  readonly operations: ClusterOperations;
}

export function clusterService(options: ClusterServiceOptions): Partial<ServiceImpl<typeof Cluster>> {
  const { cluster, access, readiness } = options;
  return {
    ...options.operations,

    status() {
      const nodes = cluster.nodes();
      const own = nodes.find(({ id }) => id === cluster.nodeId);
      const reasons = [...reasonsNotReady(cluster, readiness)];
      return {
        id: cluster.nodeId,
        role: own?.role ?? "learner",
        term: BigInt(cluster.term),
        leader: cluster.leaderId ?? "",
        commit: BigInt(own?.commitIndex ?? 0),
        applied: BigInt(own?.appliedIndex ?? 0),
        voters: nodes.filter(({ role }) => role !== "learner").map(({ id }) => id),
        learners: nodes.filter(({ role }) => role === "learner").map(({ id }) => id),
        ready: reasons.length === 0,
        reasons,
      };
    },

    whoAmI(_request, context) {
      const { identity } = callOf(context).client;
      return { subject: identity.subject, actions: access.allowedActions(identity) };
    },
  };
}
