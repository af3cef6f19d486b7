/** The line on standard error that explains why a command failed. */
import type { Fault } from "../../fault.ts";
import { printable } from "./terminal.ts";

/** Facts for programs. The message, the exit status or the outcome already says them. */
const hiddenFacts = ["unreachable", "usage", "field", "code", "address", "records_before", "batches_before"];

/** Facts that are hidden if the message contains them. */
const repeatedFacts = [
  ...["members", "directory", "pid", "path", "line", "name"],
  ...["found", "expected", "nowMs", "foundBytes", "bytesMax", "needed"],
];

/** Returns one line: the command, the message, its facts, and for a write whether it happened. */
export function faultLine(command: string, fault: Fault, effect: "read" | "write" = "read"): string {
  const facts = Object.entries(fault.facts).filter(
    ([name, fact]) =>
      !hiddenFacts.includes(name) && !(repeatedFacts.includes(name) && fault.message.includes(String(fact))),
  );
  const shown = facts.length === 0 ? "" : ` (${facts.map(([name, fact]) => `${name} ${fact}`).join(", ")})`;
  return printable(
    `tailrace ${command}: ${fault.message}${shown}${effect === "write" ? outcome(fault) : ""}`,
  );
}

/** What happened to a write. After a stream of records, some of them can be in the log. */
function outcome({ written, facts }: Fault): string {
  if (written === "unknown") return "; it is not known whether it was written";
  const before = facts.records_before;
  if (before === undefined) return "";
  return before === 0 ? "; nothing was written" : `; ${before} records were written before, and none after`;
}
