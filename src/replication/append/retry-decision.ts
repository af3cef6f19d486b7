/**
 * What a failed attempt of a forwarded append means: try again, wait for the log to show it, or give up. Pure.
 *
 * A plain append is repeated only if it certainly was not written. One with a producer's sequence or an expected offset
 * is repeated in any case: the leader appends it at most once.
 */
import { Fault } from "../../fault.ts";
import type { AppendOptions } from "../../types.ts";

/** `observe`: it is in the log already, and the leader does not know its offset any more. */
export type RetryDecision = "retry" | "observe" | "fail";

export interface FailedAttempt {
  readonly fault: Fault;
  readonly options: AppendOptions;
  /** No unsettled run of its stream stands before it. */
  readonly isFirst: boolean;
  /** It belongs to a stream: a leader without room makes the stream wait. */
  readonly isStream: boolean;
  /** The fault of the first attempt that may have written it, this one excluded. */
  readonly undecided: Fault | undefined;
}

export const isRepeatable = ({ producer, expectedOffset }: AppendOptions): boolean =>
  producer !== undefined || expectedOffset !== undefined;

export function retryDecision({
  fault,
  options,
  isFirst,
  isStream,
  undecided,
}: FailedAttempt): RetryDecision {
  switch (fault.kind) {
    case "not-leader":
    case "unavailable":
      return fault.written === "no" || isRepeatable(options) ? "retry" : "fail";
    case "interrupted":
    case "unknown":
    case "disk-failed":
      return fault.written === "unknown" && isRepeatable(options) ? "retry" : "fail";
    case "overloaded":
      return isStream && fault.written === "no" ? "retry" : "fail";
    case "sequence-too-old":
      return undecided === undefined ? "fail" : "observe";
    case "out-of-sequence":
    case "unknown-producer":
      // A run before it has failed and is sent again, by this stream or, for an append alone, by another caller.
      return !isFirst || (undecided !== undefined && isAhead(fault)) ? "retry" : "fail";
    default:
      return "fail";
  }
}

function isAhead({ facts }: Fault): boolean {
  const { expected, sequence } = facts;
  return expected !== undefined && sequence !== undefined && expected < sequence;
}

/**
 * The fault that the caller gets. One attempt that may have been written makes the outcome unknown, whatever the last
 * attempt came to. A caller that asked for forwarding does not learn who was not the leader.
 */
export function finalFault(fault: Fault, undecided: Fault | undefined): Fault {
  if (undecided !== undefined && fault.written === "no") {
    return new Fault(fault.kind === "deadline" ? "deadline" : "interrupted", {
      message: "the leader did not answer, and the append could not be repeated",
      written: "unknown",
      cause: new AggregateError([undecided, fault]),
    });
  }
  if (fault.kind !== "not-leader") return fault;
  return new Fault("unavailable", { message: "the leader is changing", cause: fault });
}
