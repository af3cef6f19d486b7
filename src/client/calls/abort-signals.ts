/** What an aborted signal means for a call. */
import { Fault } from "../../fault.ts";

/** Combines the signals that are given into one. Returns undefined if none is given. */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal | undefined {
  const given = signals.filter((signal) => signal !== undefined);
  return given.length > 1 ? AbortSignal.any(given) : given[0];
}

/** The fault of an aborted signal: its reason if that is a Fault, otherwise "canceled" with the reason as the cause. */
export function canceledFault(signal: AbortSignal): Fault {
  const { reason } = signal;
  return reason instanceof Fault ? reason : new Fault("canceled", { cause: reason });
}

/**
 * What a call rejects with. If the application's own signal ended the call and nothing was written, that is the reason
 * of the signal, as for every web API. Otherwise it is the fault.
 */
export function rejectionOf(fault: Fault, signal: AbortSignal | undefined): unknown {
  const isOwn = signal?.aborted === true && fault.kind === "canceled" && fault.written === "no";
  return isOwn && fault.cause === signal.reason ? signal.reason : fault;
}
