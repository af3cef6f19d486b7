/**
 * Faults between peers: kind, sentence, facts and whether it was written travel; causes do not. Pure.
 *
 * Never: makes "not written" of what it does not understand.
 */
import { type Facts, Fault, type FaultKind, faultKinds } from "../../fault.ts";
import { factsFrom } from "../../fault-facts.ts";

export interface WireFault {
  readonly kind: string;
  readonly message: string;
  readonly facts: Facts;
  readonly written: string;
}

export function encodeFault(reason: unknown): WireFault {
  const { kind, message, facts, written } = Fault.from(reason);
  return { kind, message: message.slice(0, 1024), facts, written };
}

/** The fault that was told; of a kind that this version does not know, one of kind "unknown". */
export function decodeFault(value: unknown): Fault {
  const { kind, message, facts, written } = (value ?? {}) as Partial<Record<keyof WireFault, unknown>>;
  const known = faultKinds.find((each) => each === kind);
  return new Fault(known ?? ("unknown" satisfies FaultKind), {
    ...(typeof message === "string" ? { message } : {}),
    facts: factsFrom(facts),
    written: written === "no" ? "no" : "unknown",
  });
}
