/** Runs the work of a command and turns its faults into an exit status and a line on standard error. */
import { Fault } from "../fault.ts";
import { DiskUncertain } from "../lib/disk/disk.ts";
import { exitStatus, statusOf } from "./exit-status.ts";
import { faultLine } from "./output/fault-line.ts";

/**
 * Runs a client command. `work` returns its exit status (default 0). `effect` is "write" for commands that change the
 * log or the cluster: the line about a fault then says whether the change was made.
 */
export async function runCommand(
  command: string,
  work: () => Promise<number | undefined>,
  effect: "read" | "write" = "read",
): Promise<void> {
  process.on("SIGINT", () => process.exit(exitStatus.interrupted));
  try {
    process.exitCode = (await work()) ?? exitStatus.done;
  } catch (reason) {
    const { faultOf } = await import("../client/mod.ts");
    const fault = faultOf(reason, effect);
    console.error(faultLine(command, fault, effect));
    process.exitCode = statusOf(fault);
  }
}

/** Returns the fault of a system error, such as a full disk; undefined for any other error, which is a bug. */
export function systemFault(reason: unknown): Fault | undefined {
  if (reason instanceof DiskUncertain) return systemFault(reason.cause);
  if (!(reason instanceof Error)) return undefined;
  const { code, syscall } = reason as NodeJS.ErrnoException;
  if (typeof code !== "string" || typeof syscall !== "string") return undefined;
  return new Fault("unknown", { message: reason.message, cause: reason });
}
