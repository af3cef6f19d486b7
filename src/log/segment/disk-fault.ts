/**
 * Converts an error of the disk to the Fault that callers get. Pure.
 */
import { Fault } from "../../fault.ts";
import { errorCode, NotRegularFile, troubleOf } from "../../lib/disk/disk.ts";

/** The meaning of frequent error codes. */
const meanings: Readonly<Record<string, string>> = {
  EMFILE: "this process has no file descriptor left",
  ENFILE: "this machine has no file descriptor left",
  ENOMEM: "this machine has no memory left",
  EACCES: "this process may not open a file of the log",
  EPERM: "this process may not open a file of the log",
};

/** Returns Fault "disk-full" or "disk-busy" with `written` "no", or "disk-failed" with "unknown". */
export function diskFault(cause: unknown): Fault {
  const trouble = troubleOf(cause);
  if (trouble === "full") return new Fault("disk-full", { cause });
  if (trouble === "lost") {
    const named = cause instanceof NotRegularFile ? { message: cause.message } : {};
    return new Fault("disk-failed", { ...named, written: "unknown", cause });
  }
  const code = errorCode(cause);
  return new Fault("disk-busy", {
    message: `the disk takes no writes now, ${meanings[code] ?? "an operation failed"} (${code})`,
    facts: { errno: code },
    cause,
  });
}

/** Returns true for a refusal after which the same write may be tried again. */
export const isRefusal = (reason: unknown): reason is Fault =>
  reason instanceof Fault && (reason.kind === "disk-full" || reason.kind === "disk-busy");
