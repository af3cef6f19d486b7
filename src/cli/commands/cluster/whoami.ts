/** `tailrace whoami`: the subject that the node sees in this client, and its permissions. */
import type { Command } from "commander";
import { WhoAmIResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
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
  await print(
    flags.json
      ? jsonLine(toPlainJson(WhoAmIResponseSchema, found))
      : `${found.subject}: ${found.actions.join(", ") || "nothing"}\n`,
  );
}
