/** `tailrace transfer [NODE]`: transfers leadership to a voter, by default to the one with the most entries. */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program
      .command("transfer")
      .description("transfer leadership to another voter")
      .argument("[node]", "the name of the voter (default: the one with the most entries)"),
  ).action((node: string | undefined, flags: ConnectFlags) =>
    runCommand("transfer", () => transfer(node, flags), "write"),
  );
}

async function transfer(node: string | undefined, flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const { leaderId } = await client.rpc.cluster.transferLeadership({ to: node ?? "" }, { timeoutMs: 15_000 });
  await print(jsonLine({ leader: leaderId }));
}
