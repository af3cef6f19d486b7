/**
 * What a stream of appends tells when it ends early: the first failure in the order of its messages, how many records were
 * acknowledged before it, and whether anything of the rest may have been written. Pure.
 */

import { type Facts, Fault, invitesRetry } from "../../fault.ts";

/** What became of the appends that were under way behind the first failure. */
export type Settled = PromiseSettledResult<unknown>;

/** `before` says what was acknowledged before the failure. `behind` are the appends that were begun after it. */
export function streamFailure(reason: unknown, before: Facts, behind: readonly Settled[]): Fault {
  const fault = Fault.from(reason);
  const isUnknown = fault.written === "unknown" || behind.some(mayHaveWritten);
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
