/** The events of the core at which a fault is most likely to find a bug: the state of a server has just changed. */
import type { CoreEvent } from "../raft.ts";

const criticalKinds: ReadonlySet<CoreEvent["kind"]> = new Set<CoreEvent["kind"]>([
  "configuration-switched",
  "conflict-found",
  "snapshot-accepted",
  "snapshot-sent",
  "transfer-started",
]);

export const isCritical = (event: CoreEvent): boolean =>
  event.kind === "became"
    ? event.role === "leader" || event.role === "candidate"
    : criticalKinds.has(event.kind);
