/**
 * A disk's refusal as the Fault that callers see. Pure.
 */
import { Fault } from "../../fault.ts";
import { errorCode, troubleOf } from "../../lib/disk/disk.ts";

/** What the codes that a machine runs out of mean, in words. */
const words: Readonly<Record<string, string>> = {
  EMFILE: "this process has no file descriptor left",
  ENFILE: "this machine has no file descriptor left",
  ENOMEM: "this machine has no memory left",
  EACCES: "this process may not open a file of the log",
  EPERM: "this process may not open a file of the log",
};

/** Fault "disk-full", "disk-busy" or "disk-failed" for what a disk threw, `written` "no" but for the last. */
export function diskFault(cause: unknown): Fault {
  const trouble = troubleOf(cause);
  if (trouble === "full") return new Fault("disk-full", { cause });
  if (trouble === "lost") return new Fault("disk-failed", { written: "unknown", cause });
  const code = errorCode(cause);
  return new Fault("disk-busy", {
    message: `the disk takes no writes now, ${words[code] ?? "an operation failed"} (${code})`,
    facts: { errno: code },
    cause,
  });
}

/** Is this a refusal after which the same write may be tried again? */
export const isRefusal = (reason: unknown): reason is Fault =>
  reason instanceof Fault && (reason.kind === "disk-full" || reason.kind === "disk-busy");
