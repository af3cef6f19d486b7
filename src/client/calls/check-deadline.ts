/** Checks a deadline that an application gives. */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";

/** A deadline further away than this is not a time of the monotonic clock. */
const deadlineAheadMsMax = 10 * 365 * 86_400_000;

/**
 * Returns the deadline if it can be a time of the monotonic clock.
 * @throws Fault "bad-request" for NaN and for a wall-clock time, which would be decades ahead
 */
export function checkDeadline(clock: Clock, deadlineMs: number): number {
  if (deadlineMs === Number.POSITIVE_INFINITY || deadlineMs - clock.monotonicMs() <= deadlineAheadMsMax)
    return deadlineMs;
  throw new Fault("bad-request", {
    message: `deadlineMs ${deadlineMs} is not a time of the monotonic clock; add a timeout to performance.now`,
    facts: { field: "deadlineMs" },
  });
}
