/** Faults of the gossip sockets. */
import { Fault } from "../../fault.ts";

/** Returns the fault of a message whose handling threw `reason`. No message may end the process. */
export function handlerFault(reason: unknown): Fault {
  if (reason instanceof Fault) return reason;
  const message = `a message could not be handled, ${String(reason)}`;
  return new Fault("unknown", { message, cause: reason });
}

export function bindFault(cause: unknown, host: string, port: number): Fault {
  const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
  return new Fault("unavailable", {
    message: "the gossip port cannot be bound",
    facts: { host, port, code },
    cause,
  });
}

/** Returns the fault of a stream that ended before its message was complete. */
export function streamLostFault(cause: unknown): Fault {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "closed";
  const message =
    code === "closed"
      ? "the peer closed the gossip stream without a reply, as it does if its key or label differs"
      : "a gossip stream was interrupted";
  return new Fault("unavailable", { message, facts: { code }, cause });
}
