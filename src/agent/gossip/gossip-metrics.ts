/** Metrics of gossip: members by status, datagrams, refused messages by reason. Members are not named. */
import type { Metrics, Observation } from "../../lib/telemetry.ts";
import type { MemberStatus, Membership } from "../../membership/mod.ts";

const statuses: readonly MemberStatus[] = ["alive", "suspect", "leaving", "left", "failed"];
const refusals = [
  "malformed",
  "unknownType",
  "incompatible",
  "implausible",
  "overflow",
  "conflicts",
  "refused",
] as const;

/** Registers the metrics. Returns a function that removes them. */
export function measureGossip(membership: Membership, metrics: Metrics): () => void {
  const ends = [
    metrics.gauge(
      "tailrace.gossip.members",
      { description: "Members that gossip knows, by status", unit: "{member}" },
      () => byStatus(membership),
    ),
    metrics.total("tailrace.gossip.packets", { description: "Gossip datagrams", unit: "{packet}" }, () => [
      { value: membership.stats.packetsIn, attributes: { direction: "in" } },
      { value: membership.stats.packetsOut, attributes: { direction: "out" } },
    ]),
    metrics.total(
      "tailrace.gossip.refused",
      { description: "Gossip messages that were refused, by reason", unit: "{message}" },
      () => refusals.map((reason) => ({ value: membership.stats[reason], attributes: { reason } })),
    ),
    metrics.total(
      "tailrace.gossip.suspicions",
      { description: "Suspicions of members that did not answer", unit: "{suspicion}" },
      () => membership.stats.suspicions,
    ),
    metrics.gauge(
      "tailrace.gossip.health",
      { description: "Health score of this member (Lifeguard), 0 (healthy) to 7", unit: "1" },
      () => membership.stats.healthScore,
    ),
  ];
  return () => {
    for (const end of ends) end();
  };
}

function byStatus(membership: Membership): readonly Observation[] {
  const counts = new Map<MemberStatus, number>(statuses.map((status) => [status, 0]));
  for (const { status } of membership.members()) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, value]) => ({ value, attributes: { status } }));
}
