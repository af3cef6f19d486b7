/**
 * Membership compatible with HashiCorp's Serf: the members of the cluster, their tags and statuses, user events, and
 * queries. Gossip has at most one shared key, so tags and statuses are hints, not proof. See DESIGN.md.
 */
export type { Admission } from "./admission.ts";
export { endpointText } from "./codec/address.ts";
export type { Membership, MembershipEvent } from "./membership.ts";
export { openMembership } from "./open.ts";
export type { MemberStatus, MemberView } from "./serf/serf-event.ts";
export type { Tags } from "./serf/tags.ts";
export { generateKey } from "./transport/random.ts";
export { resolveHost } from "./transport/resolve.ts";
