/** `tailrace whoami`: the subject that the node sees in this client, and its permissions. */
import type { Command } from "commander";
import { type AllowedLogs, type WhoAmIResponse, WhoAmIResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { timeText } from "../../output/table.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program.command("whoami").description("print the subject and the permissions of this client"),
  ).action((flags: ConnectFlags) => runCommand("whoami", () => whoami(flags)));
}

async function whoami(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const found = await client.rpc.cluster.whoAmI({});
  await print(flags.json ? jsonLine(toPlainJson(WhoAmIResponseSchema, found)) : textOf(found));
}

/** The actions on every log, and a line for each action on some: `  consume on orders/*, news`. */
function textOf({ subject, actions, logs, tokenId, tokenExpiresMs }: WhoAmIResponse): string {
  const some = logsText(logs);
  const none = some === "" ? "nothing" : "only";
  const token =
    tokenId === ""
      ? ""
      : `  by the token ${tokenId}, which is valid until ${timeText(Number(tokenExpiresMs))}\n`;
  return printable(`${subject}: ${actions.join(", ") || none}\n`) + some + printable(token);
}

function logsText(allowed: readonly AllowedLogs[]): string {
  const lines = allowed.flatMap(({ action, logs, more, unknown }) => {
    if (logs[0] === "*") return [];
    const which = unknown ? "the logs that the policy's model allows" : logs.join(", ");
    return [`  ${action} on ${which}${more ? ", and more" : ""}\n`];
  });
  return printable(lines.join(""));
}
