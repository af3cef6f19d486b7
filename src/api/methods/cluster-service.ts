/**
 * The RPCs of log.v1.Cluster. This file serves Status and WhoAmI, which any node can answer about itself. The others are
 * passed in by the module that can serve them; those that are not passed in are unimplemented.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type AccessControl, type Action, actions } from "../../access/mod.ts";
import type { AllowedLogsSchema, Cluster } from "../../gen/log/v1/log_pb.js";
import { callOf } from "../calls/call-context.ts";
import type { ClusterView } from "../cluster-view.ts";
import { type Readiness, reasonsNotReady } from "../readiness.ts";

/** Names and prefixes that WhoAmI lists for an action. */
const listedMax = 256;
const logActions = actions.filter((action) => action !== "admin" && action !== "peer");

/** `patterns` as in AccessControl.patternsOf(). An action on no log is left out. */
function allowedLogs(
  action: Action,
  patterns: readonly string[] | undefined,
): MessageInitShape<typeof AllowedLogsSchema>[] {
  if (patterns === undefined) return [{ action, unknown: true }];
  if (patterns.length === 0) return [];
  return [{ action, logs: patterns.slice(0, listedMax), more: patterns.length > listedMax }];
}

export type ClusterOperations = Partial<Omit<ServiceImpl<typeof Cluster>, "status" | "whoAmI">>;

export interface ClusterServiceOptions {
  readonly cluster: ClusterView;
  readonly access: Pick<AccessControl, "allowedActions" | "patternsOf">;
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
        // A node that was removed has the role of a learner, but is none.
        learners: nodes
          .filter(({ id, role, healthy }) => role === "learner" && (healthy || id !== cluster.nodeId))
          .map(({ id }) => id),
        ready: reasons.length === 0,
        reasons,
      };
    },

    whoAmI(_request, context) {
      const { identity } = callOf(context).client;
      const logs = logActions.flatMap((action) => allowedLogs(action, access.patternsOf(identity, action)));
      const { token } = identity;
      const ofToken = token?.form ?? "token";
      const ofConnection = identity.fingerprint !== "" ? "certificate" : "none";
      const credential = token !== undefined ? ofToken : ofConnection;
      return {
        subject: identity.subject,
        actions: access.allowedActions(identity),
        logs,
        credential,
        tokenId: token?.id ?? "",
        tokenExpiresMs: BigInt(token?.expiresMs ?? 0),
      };
    },
  };
}
