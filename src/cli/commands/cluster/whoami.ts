/**
 * `tailrace whoami`: who the node takes us for, and what it lets us do.
 *
 * Never: tries anything.
 */
import type { Command } from "commander";
import { WhoAmIResponseSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(program.command("whoami").description("who am I to this node, and what may I do?")).action(
    (flags: ConnectFlags) => runCommand("whoami", () => whoami(flags)),
  );
}

async function whoami(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const found = await client.cluster.whoAmI({});
  await print(
    flags.json
      ? jsonLine(toPlainJson(WhoAmIResponseSchema, found))
      : `${found.subject}: ${found.actions.join(", ") || "nothing"}\n`,
  );
}
