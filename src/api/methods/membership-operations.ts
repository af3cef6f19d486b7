/**
 * The RPCs of log.v1.Cluster that gossip serves: Members, Event, Query.
 *
 * Never: believes what a member says of itself; lets a caller send what Serf keeps for itself.
 */
import { Fault } from "../../fault.ts";
import { endpointText, type Membership } from "../../membership/mod.ts";
import { faultOfAbort, signalOf } from "../calls/abort.ts";
import { callOf } from "../calls/call-context.ts";
import type { ClusterOperations } from "./cluster-service.ts";

const timeoutMsMax = 3_600_000;
/** Of Serf's own queries, which change keys among other things, only the ping is anybody's. */
const internal = "_serf_";
const ping = "_serf_ping";

export function membershipOperations(
  membership: Pick<Membership, "members" | "userEvent" | "query">,
): Pick<ClusterOperations, "members" | "event" | "query"> {
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
      if (name.startsWith(internal) && (name !== ping || payload.length > 0)) {
        throw new Fault("bad-request", {
          message: `queries that begin with ${internal} are Serf's own`,
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
        for await (const answer of run) yield answer;
        if (signal.aborted) throw faultOfAbort(signal);
      } finally {
        signal.removeEventListener("abort", stop);
        stop();
      }
    },
  };
}

function checkName(name: string): void {
  if (name === "") throw new Fault("bad-request", { message: "a name is needed", facts: { field: "name" } });
}
