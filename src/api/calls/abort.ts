/**
 * How a call ends before its work is done: the client disconnected, the deadline passed, the access rules changed, or the
 * server stops. All of these arrive as one abort signal whose reason becomes a Fault. Only the code that has a write in
 * flight knows whether it was written, so it passes `written`.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import type { Written } from "../../types.ts";
import type { Call } from "./call-tracker.ts";

/** Returns the fault for an aborted signal. */
export function faultOfAbort(signal: AbortSignal, written: Written = "no"): Fault {
  const { reason } = signal;
  if (reason instanceof Fault) return withWritten(reason, written);
  const late = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
  return new Fault(late ? "deadline" : "canceled", { written, cause: reason });
}

/** Returns the same fault, for a call whose write in flight is `written`. */
export const withWritten = (fault: Fault, written: Written): Fault =>
  written === "no" ? fault : new Fault(fault.kind, { ...fault, message: fault.message, written });

/** The signal of a call: aborted with `outer`, or when the call is revoked. */
export const signalOf = (call: Call, outer: AbortSignal): AbortSignal =>
  abortControllerOf(call, outer).signal;

/**
 * Returns a controller that aborts with `outer` or when the call is revoked. `outer` refers to it, so `outer` must
 * end soon after the call. This costs a tenth of AbortSignal.any(), whose weak references cost time when they are made
 * and when they are collected.
 */
export function abortControllerOf(call: Call, outer: AbortSignal): AbortController {
  const controller = new AbortController();
  call.onRevoked = (fault) => controller.abort(fault);
  if (call.revoked !== undefined) controller.abort(call.revoked);
  else if (outer.aborted) controller.abort(outer.reason);
  else outer.addEventListener("abort", () => controller.abort(outer.reason), { once: true });
  return controller;
}

/**
 * Resolves or rejects with `work`, or rejects with the fault of the abort if that comes first. The work goes on after an
 * abort; `written` says what is then known about it.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, written: Written): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(faultOfAbort(signal, written));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    work.then(
      (value) => {
        signal.removeEventListener("abort", onAbort);
        resolve(value);
      },
      (reason) => {
        signal.removeEventListener("abort", onAbort);
        reject(reason);
      },
    );
  });
}
