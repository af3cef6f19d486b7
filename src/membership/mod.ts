/**
 * Membership that speaks Serf: who is in the cluster, what they say of themselves, and words to all of them.
 *
 * Nothing here is proof of anything: gossip has one shared key at most, so tags and statuses are hints.
 */
export { endpointText } from "./codec/address.ts";
export type { Membership, MembershipEvent } from "./membership.ts";
export { openMembership } from "./open.ts";
export type { Tags } from "./serf/tags.ts";
export type { Admission, Member, MemberStatus } from "./swim/duties.ts";
export { generateKey } from "./transport/random.ts";
export { resolveHost } from "./transport/resolve.ts";
