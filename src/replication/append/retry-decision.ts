/**
 * Decides what follows a failed attempt of a forwarded append: retry it, observe the local log, or fail it. Pure.
 *
 * An append without conditions is retried only if it certainly was not written. An append with a producer's sequence
 * or an expected offset may always be retried: the leader appends it at most once. This holds within one log. A name alone
 * can mean another log at the second attempt, so an append to a named log must state the id, too.
 */
import { Fault } from "../../fault.ts";
import type { AppendOptions } from "../../types.ts";

/** `observe`: the append is in the log, but the leader no longer knows its offset. The local log shows it. */
export type RetryDecision = "retry" | "observe" | "fail";

export interface FailedAttempt {
  readonly fault: Fault;
  readonly options: AppendOptions;
  /** True if all runs before it in its stream are settled. */
  readonly isFirst: boolean;
  /** True if it belongs to a stream: a stream waits when the leader's queue is full. */
  readonly isStream: boolean;
  /** The fault of the first earlier attempt that may have written it. */
  readonly undecided: Fault | undefined;
}

/** Returns true if a log takes the append at most once. */
const hasCondition = ({ producer, expectedOffset, stream }: AppendOptions): boolean =>
  producer !== undefined || expectedOffset !== undefined || stream?.producer !== undefined;

/** Returns true if the run may be sent in one request with others. */
export const isJoinable = (options: AppendOptions): boolean =>
  !hasCondition(options) && options.stream === undefined;

/** Returns true if a second attempt cannot write the records twice. */
export const isRepeatable = (options: AppendOptions): boolean =>
  hasCondition(options) && (options.log === undefined || options.log.id !== undefined);

export function retryDecision(attempt: FailedAttempt): RetryDecision {
  const { fault, options, isFirst, isStream, undecided } = attempt;
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
      // A run before it has failed and is sent again, by this stream or by another caller of the same producer.
      return !isFirst || (undecided !== undefined && isAhead(fault)) ? "retry" : "fail";
    default:
      return "fail";
  }
}

/** Returns true if the sequence is above the one that the leader expects. */
function isAhead({ facts }: Fault): boolean {
  const { expected, sequence } = facts;
  return expected !== undefined && sequence !== undefined && expected < sequence;
}

/**
 * Returns the fault for the caller. If one attempt may have written the append, the outcome is unknown, whatever the
 * last attempt returned. "not-leader" becomes "unavailable": a caller that asked for forwarding cannot use it.
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

/** Why an append of a stream is not written when one before it failed with `cause`. */
export const failedBefore = (cause: unknown): Fault =>
  new Fault("unavailable", { message: "an append before this one on the stream failed", cause });
