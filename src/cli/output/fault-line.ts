/** The line on standard error that explains why a command failed. */
import type { Fault } from "../../fault.ts";
import { printable } from "./terminal.ts";

/** Facts for programs. The message, the exit status or the outcome already says them. */
const hiddenFacts = [
  ...["unreachable", "usage", "field", "character", "code", "address"],
  ...["records_before", "records_unknown", "batches_before"],
];

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
    `tailrace ${command}: ${fault.message}${hintFor(fault)}${shown}${effect === "write" ? outcome(fault) : ""}`,
  );
}

/** What the user probably wants to do. */
const hintFor = (fault: Fault): string =>
  fault.kind === "unauthenticated" && fault.facts.reason === undefined ? credentials : severalLogs(fault);

/** A refused token has a reason. */
const credentials =
  ". A command takes them from --tls-cert-file and --tls-key-file, or from --token-file (or TAILRACE_TOKEN_FILE)";

/** A name may have a comma, so the server looks for it as it is. The user probably means several logs. */
function severalLogs({ kind, facts }: Fault): string {
  const { name } = facts;
  if (kind !== "not-found" || facts.reason !== "NO_SUCH_LOG" || typeof name !== "string") return "";
  const logs = name.split(",").filter((one) => one !== "");
  if (logs.length < 2) return "";
  return `. A comma is a part of a name. To tail several logs: tailrace tail ${logs.map((one) => `--log ${one}`).join(" ")}`;
}

/** What happened to a write. After a stream of records, some of them can be in the log. */
function outcome({ written, facts }: Fault): string {
  const before = facts.records_before ?? 0;
  if (written === "unknown") return unknownOutcome(before, facts.records_unknown ?? 0);
  if (facts.records_before === undefined) return "";
  return before === 0 ? "; nothing was written" : `; ${counted(before)} written before, and none after`;
}

/** `unknown` is 0 if the number is not known. */
function unknownOutcome(before: number, unknown: number): string {
  if (unknown === 0 || before + unknown === 1) return "; it is not known whether it was written";
  const first = before === 0 ? "" : `; ${counted(before)} written before`;
  const next = before === 0 ? "first" : "next";
  const these = unknown === 1 ? `the ${next} one was` : `the ${next} ${unknown} were`;
  return `${first}; it is not known whether ${these} written; none after`;
}

const counted = (records: number): string => (records === 1 ? "1 record was" : `${records} records were`);
