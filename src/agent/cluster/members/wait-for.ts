/** Waits for a condition on the state of a replica. */
import type { Clock } from "../../../lib/time/clock.ts";
import type { Replica } from "../../../replication/mod.ts";

/** The condition is also checked without a notification of the replica, this often. */
const checkMs = 50;

/** Resolves when `holds` is true, or at `untilMs` of the monotonic clock. */
export async function waitFor(
  { watch }: Pick<Replica, "watch">,
  clock: Clock,
  holds: () => boolean,
  untilMs: number,
): Promise<void> {
  while (!holds() && clock.monotonicMs() < untilMs) {
    await watch.changed(Math.min(untilMs, clock.monotonicMs() + checkMs));
  }
}
