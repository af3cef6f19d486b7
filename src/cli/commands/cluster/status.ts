/**
 * `tailrace status`: whether the node is ready, as one line of JSON; without --json, also as text for people on standard
 * error, in full on a terminal. The exit status makes it a health check for containers: 0 if ready, 1 if not.
 */
import type { Command } from "commander";
import { type StatusResponse, StatusResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { exitStatus } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program
      .command("status")
      .description("print whether the node is ready (exit status 0 if ready, 1 if not)"),
  ).action((flags: ConnectFlags) => runCommand("status", () => status(flags)));
}

async function status(flags: ConnectFlags): Promise<number> {
  using client = await connect(flags);
  const found = await client.rpc.cluster.status({}, { timeoutMs: 5_000 });
  const { data, message } = statusOutput(found, process.stderr.isTTY && flags.json !== true);
  process.stderr.write(message);
  await print(data);
  return found.ready ? exitStatus.done : exitStatus.failed;
}

/** Returns what goes to standard output, and the message for people on standard error, in full if `isFull`. */
export function statusOutput(found: StatusResponse, isFull: boolean): { data: string; message: string } {
  const reasons = found.reasons.map((reason) => printable(`not ready: ${reason}\n`)).join("");
  return {
    data: jsonLine(toPlainJson(StatusResponseSchema, found)),
    message: isFull ? statusText(found) : reasons,
  };
}

/** Returns the status as a few lines for a terminal. */
function statusText(found: StatusResponse): string {
  const { id, role, term, leader, commit, applied, voters, learners, ready, reasons } = found;
  const lines = [
    `${id} is ${ready ? "ready" : "not ready"}`,
    ...reasons.map((reason) => `  ${reason}`),
    `role      ${role}, term ${term}, ${leader === "" ? "no leader is known" : `the leader is ${leader}`}`,
    `index     ${applied} applied, ${commit} committed`,
    `voters    ${voters.join(", ")}`,
    ...(learners.length === 0 ? [] : [`learners  ${learners.join(", ")}`]),
  ];
  return printable(`${lines.join("\n")}\n`);
}
