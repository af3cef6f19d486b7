/**
 * Decides after a failed attempt whether the call may be repeated.
 *
 *   retry is safe := a read that another node can answer
 *                  | nothing was written, and the fault is temporary
 *                  | the outcome is unknown, and the node recognizes a duplicate
 */
import { Fault, type FaultKind } from "../../fault.ts";
import { canceledFault } from "./abort-signals.ts";
import type { Effect } from "./fault-of.ts";

/** A damaged response can come from the node or from the network. A call makes at most so many attempts then. */
export const damagedResponsesMax = 3;

/** These faults concern the node, not the request. Another node can answer. */
const nodeFaults: readonly FaultKind[] = [
  "unavailable",
  "not-leader",
  "disk-failed",
  "interrupted",
  "unknown",
  "deadline",
  "canceled",
];

const retryableReads: readonly FaultKind[] = [...nodeFaults, "overloaded", "corrupt"];

/** A repeated write gets these faults again, even if the outcome of the write is unknown. */
const finalWrites: readonly FaultKind[] = [
  "out-of-sequence",
  "sequence-too-old",
  "unknown-producer",
  "producer-fenced",
];

export const isNodeFault = ({ kind }: Fault): boolean => nodeFaults.includes(kind);

/** Whether the same request can be sent again without a second effect. `repeatable`: the node recognizes a duplicate. */
export function isRetrySafe(fault: Fault, effect: Effect, repeatable: boolean): boolean {
  if (effect === "read") return retryableReads.includes(fault.kind);
  if (finalWrites.includes(fault.kind)) return false;
  return fault.retry || (repeatable && fault.written === "unknown");
}

/** The same fault with written "unknown", for a call of which an earlier attempt may have written. */
export function withUnknownOutcome(fault: Fault): Fault {
  if (fault.written === "unknown") return fault;
  const { kind, message, facts } = fault;
  return new Fault(kind, { message, facts, written: "unknown", cause: fault });
}

/** The fault of an attempt that `signal` aborted: why, and whether the write may have happened. */
export function abortedFault(signal: AbortSignal, fault: Fault, effect: Effect): Fault {
  const canceled = canceledFault(signal);
  return effect === "write" && fault.written === "unknown" ? withUnknownOutcome(canceled) : canceled;
}
