/** Encodes faults between peers: kind, message, facts and `written` are sent; causes are not. Pure. */
import { type Facts, Fault, type FaultKind, faultKinds } from "../../fault.ts";
import { factsFrom } from "../../fault-facts.ts";

const messageCharsMax = 1024;

export interface WireFault {
  readonly kind: string;
  readonly message: string;
  readonly facts: Facts;
  readonly written: string;
}

export function encodeFault(reason: unknown): WireFault {
  const { kind, message, facts, written } = Fault.from(reason);
  return { kind, message: message.slice(0, messageCharsMax), facts, written };
}

/**
 * Returns the received fault. A kind that this version does not know becomes "unknown"; `written` is "unknown" unless
 * the peer sent "no".
 */
export function decodeFault(value: unknown): Fault {
  const { kind, message, facts, written } = (value ?? {}) as Partial<Record<keyof WireFault, unknown>>;
  const known = faultKinds.find((each) => each === kind);
  return new Fault(known ?? ("unknown" satisfies FaultKind), {
    ...(typeof message === "string" ? { message } : {}),
    facts: factsFrom(facts),
    written: written === "no" ? "no" : "unknown",
  });
}
