/** The RPCs of log.v1.Cluster that gossip serves: Members, Event and Query. */
import { Fault } from "../../fault.ts";
import { endpointText, type Membership } from "../../membership/mod.ts";
import { faultOfAbort, signalOf } from "../calls/abort.ts";
import { callOf } from "../calls/call-context.ts";
import type { ClusterOperations } from "./cluster-service.ts";

/** Longest time that a query may collect responses, in milliseconds. */
const timeoutMsMax = 3_600_000;
/** Names with this prefix are Serf's own queries, which can change keys. Clients may only send the ping. */
const serfPrefix = "_serf_";
const serfPing = "_serf_ping";

export function membershipOperations(
  membership: Pick<Membership, "members" | "userEvent" | "query">,
): Required<Pick<ClusterOperations, "members" | "event" | "query">> {
  return {
    members() {
      const members = membership.members().map((member) => ({
        name: member.name,
        addr: endpointText(member),
        status: member.status,
        tags: { ...member.tags },
      }));
      return { members };
    },

    event({ name, payload, coalesce }) {
      checkName(name);
      membership.userEvent(name, payload, { coalesce });
      return {};
    },

    async *query(request, context) {
      const { name, payload, timeoutMs, filterNodes, filterTags } = request;
      checkName(name);
      if (name.startsWith(serfPrefix) && (name !== serfPing || payload.length > 0)) {
        throw new Fault("bad-request", {
          message: `queries that begin with ${serfPrefix} are reserved for Serf`,
          facts: { field: "name" },
        });
      }
      if (timeoutMs > timeoutMsMax) {
        throw new Fault("bad-request", {
          message: `timeout_ms is ${timeoutMs}, the most is ${timeoutMsMax}`,
          facts: { field: "timeout_ms" },
        });
      }
      const signal = signalOf(callOf(context), context.signal);
      const run = membership.query(name, payload, {
        ...(timeoutMs === 0 ? {} : { timeoutMs }),
        nodes: filterNodes,
        tags: filterTags,
        ack: true,
      });
      const stop = (): void => run.stop();
      signal.addEventListener("abort", stop, { once: true });
      try {
        if (signal.aborted) stop();
        for await (const response of run) yield response;
        if (signal.aborted) throw faultOfAbort(signal);
      } finally {
        signal.removeEventListener("abort", stop);
        stop();
      }
    },
  };
}

function checkName(name: string): void {
  if (name === "") throw new Fault("bad-request", { message: "name is missing", facts: { field: "name" } });
}
