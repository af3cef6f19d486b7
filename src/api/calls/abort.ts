/**
 * How a call ends before its work is done: the caller went away, the deadline passed, the rules changed, the server
 * stops. All of them arrive as one abort signal whose reason becomes a Fault.
 *
 * Never: decides what was written; whoever had something under way says so.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import type { Written } from "../../types.ts";
import type { Call } from "./call-tracker.ts";

/** The fault that an abort stands for. */
export function faultOfAbort(signal: AbortSignal, written: Written = "no"): Fault {
  const { reason } = signal;
  if (reason instanceof Fault) return whileWriting(reason, written);
  const late = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
  return new Fault(late ? "deadline" : "canceled", { written, cause: reason });
}

/** The same fault of a call whose write, if it has one under way, is `written`. */
export const whileWriting = (fault: Fault, written: Written): Fault =>
  written === "no" ? fault : new Fault(fault.kind, { ...fault, message: fault.message, written });

/** The call's signal: aborted with `outer`, or when the call is revoked. */
export const signalOf = (call: Call, outer: AbortSignal): AbortSignal => endOf(call, outer).signal;

/**
 * The same, to be aborted by others as well. `outer` must not outlive the call for long: it refers to it. That costs a
 * tenth of AbortSignal.any(), whose weak references take time when they are made and when they are collected.
 */
export function endOf(call: Call, outer: AbortSignal): AbortController {
  const end = new AbortController();
  call.onRevoked = (fault) => end.abort(fault);
  if (call.revoked !== undefined) end.abort(call.revoked);
  else if (outer.aborted) end.abort(outer.reason);
  else outer.addEventListener("abort", () => end.abort(outer.reason), { once: true });
  return end;
}

/**
 * What `work` comes to, or the fault of the abort, whichever is first. The work itself goes on: `written` says what
 * is then known of it.
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
