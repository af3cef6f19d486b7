/** Adds to a fault what only the call knows: the address, and what the previous attempt failed with. */
import { Fault } from "../../fault.ts";

/** Adds the address to a fault that says that no connection could be made. */
export function withAddress(fault: Fault, addr: string): Fault {
  const { kind, facts, written, message } = fault;
  if (facts.unreachable !== true || facts.address !== undefined) return fault;
  const { code } = facts;
  const why = code === undefined || message.includes(code) ? message : `${message} (${code})`;
  return new Fault(kind, {
    message: message.includes(addr) ? why : `no connection to ${addr}: ${why}`,
    facts: { ...facts, address: addr },
    written,
    cause: fault.cause ?? fault,
  });
}

/** Turns a deadline that passed while the connection was being made into "unavailable". */
export function withoutConnection(fault: Fault, addr: string): Fault {
  if (fault.kind !== "deadline") return fault;
  return new Fault("unavailable", {
    message: `could not connect to ${addr} before the deadline`,
    facts: { unreachable: true, address: addr },
    written: fault.written,
    cause: fault,
  });
}

/** Adds to a deadline what the previous attempt failed with. */
export function afterFailure(fault: Fault, previous: Fault | undefined): Fault {
  if (fault.kind !== "deadline" || previous === undefined || previous.kind === "deadline") return fault;
  return new Fault("deadline", {
    message: `${fault.message}; the previous attempt failed: ${previous.message}`,
    facts: { ...previous.facts, ...fault.facts },
    written: fault.written,
    cause: previous,
  });
}
