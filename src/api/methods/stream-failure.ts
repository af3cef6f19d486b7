/**
 * The fault with which a stream of appends ends early: the first failure in the order of the messages, what was
 * acknowledged before it, and whether any of the rest may have been written.
 */
import { type Facts, Fault, invitesRetry } from "../../fault.ts";

/** The outcome of an append behind the first failure. */
export type Settled = PromiseSettledResult<unknown>;

/**
 * @param before facts about what was acknowledged before the failure
 * @param later the outcomes of the appends that were started after it
 */
export function streamFailure(reason: unknown, before: Facts, later: readonly Settled[]): Fault {
  const fault = Fault.from(reason);
  const isUnknown = fault.written === "unknown" || later.some(mayHaveWritten);
  const kind = isUnknown && invitesRetry(fault.kind) ? "interrupted" : fault.kind;
  return new Fault(kind, {
    message: fault.message,
    facts: { ...fault.facts, ...before },
    written: isUnknown ? "unknown" : "no",
    unexpected: fault.unexpected,
    cause: fault.cause,
  });
}

const mayHaveWritten = (settled: Settled): boolean =>
  settled.status === "fulfilled" || Fault.from(settled.reason).written === "unknown";
