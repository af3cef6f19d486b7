/**
 * Membership that speaks Serf: who is in the cluster, what they say of themselves, and words to all of them.
 *
 * Nothing here is proof of anything: gossip has one shared key at most, so tags and statuses are hints.
 */
export type { Endpoint } from "./codec/address.ts";
export { endpointText } from "./codec/address.ts";
export type { Tags } from "./codec/tags.ts";
export type { Admission, IncomingQuery, Member, MemberStatus, Notice } from "./core/duties.ts";
export type { QueryAnswer, QueryOptions } from "./core/queries.ts";
export { lanTiming, localTiming, type Timing } from "./core/timing.ts";
export type { Membership, MembershipEvent } from "./membership.ts";
export { open } from "./open.ts";
export type { MembershipOptions } from "./options.ts";
export type { QueryRun } from "./query-run.ts";
export { generateKey } from "./transport/chance.ts";
export { resolveHost } from "./transport/resolve.ts";
