/**
 * How a command ends: its exit status and its last words.
 *
 *   0 done · 1 failed · 2 usage · 3 unreachable · 4 permission · 5 corrupt · 130 Ctrl-C
 *
 * Never: prints a stack for weather.
 */
import { Fault, type FaultKind } from "../fault.ts";
import { printable } from "./terminal.ts";

export const exitStatus = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  permission: 4,
  corrupt: 5,
  interrupted: 130,
} as const;

const byKind: Readonly<Partial<Record<FaultKind, number>>> = {
  unauthenticated: exitStatus.permission,
  "permission-denied": exitStatus.permission,
  corrupt: exitStatus.corrupt,
};

/** A flag or argument that cannot be meant: nothing was done. */
export const misuse = (message: string): Fault => new Fault("config", { message, facts: { usage: true } });

/** The exit status of a fault. */
export function statusOf(fault: Fault): number {
  if (fault.facts.unreachable === true) return exitStatus.unreachable;
  if (fault.facts.usage === true) return exitStatus.usage;
  return byKind[fault.kind] ?? exitStatus.failed;
}

/** The fault of an error of the system, such as a full disk; undefined for anything else, which is a defect of ours. */
export function systemFault(reason: unknown): Fault | undefined {
  if (!(reason instanceof Error)) return undefined;
  const { code, syscall } = reason as NodeJS.ErrnoException;
  if (typeof code !== "string" || typeof syscall !== "string") return undefined;
  return new Fault("unknown", { message: reason.message, cause: reason });
}

/** One line about a fault, with its facts where its message does not name them. */
export function lastWords(command: string, fault: Fault, effect: "read" | "write" = "read"): string {
  const facts = Object.entries(fault.facts).filter(
    ([name, fact]) =>
      !unsaid.includes(name) && !(oftenSaid.includes(name) && fault.message.includes(String(fact))),
  );
  const shown = facts.length === 0 ? "" : ` (${facts.map(([name, fact]) => `${name} ${fact}`).join(", ")})`;
  return printable(
    `tailrace ${command}: ${fault.message}${shown}${effect === "write" ? outcome(fault) : ""}`,
  );
}

/** Facts for programs: the message, the exit status or the outcome says them. */
const unsaid = ["unreachable", "usage", "field", "code", "address", "records_before", "batches_before"];

/** Facts that messages name as a rule. */
const oftenSaid = ["members", "directory", "pid", "path"];

/** What became of a write, where that is not plain: after a stream of records some are in the log. */
function outcome({ written, facts }: Fault): string {
  if (written === "unknown") return "; it is not known whether it was written";
  const before = facts.records_before;
  if (before === undefined) return "";
  return before === 0 ? "; nothing was written" : `; ${before} records were written before, and none after`;
}

/**
 * Runs a client command's work, and turns what it throws into an exit status. `effect` is "write" for commands that
 * change the log or the cluster: only of those it matters whether the change was made.
 */
export async function run(
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
    console.error(lastWords(command, fault, effect));
    process.exitCode = statusOf(fault);
  }
}

/**
 * `| head` closes our output: then there is nothing more to do, and nothing went wrong. Output that cannot be written
 * for another reason, such as a full disk, ends the command with a line about it.
 */
export function quietWhenClosed(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitStatus.done);
    console.error(`tailrace: standard output cannot be written: ${error.message}`);
    process.exit(exitStatus.failed);
  });
  // A closed standard error loses messages. The command still finishes its work.
  process.stderr.on("error", () => undefined);
}

/** Prints to standard output, waiting while the reader is slow. */
export function print(chunk: string | Uint8Array): Promise<void> | undefined {
  if (process.stdout.write(chunk)) return undefined;
  return new Promise((resolve) => process.stdout.once("drain", resolve));
}
