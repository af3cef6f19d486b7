/**
 * The moments at which trouble is worth most: something has just changed on a node.
 *
 * Never: makes trouble.
 */
import type { CoreEvent } from "./raft.ts";

const moments: ReadonlySet<CoreEvent["kind"]> = new Set<CoreEvent["kind"]>([
  "configuration-switched",
  "conflict-found",
  "snapshot-accepted",
  "snapshot-sent",
  "transfer-started",
]);

export const isMoment = (event: CoreEvent): boolean =>
  event.kind === "became" ? event.role === "leader" || event.role === "candidate" : moments.has(event.kind);
