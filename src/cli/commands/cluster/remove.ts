/**
 * `tailrace remove NODE`: takes a node out of the cluster, unless those that would be left could not go on.
 *
 * Never: removes two at once.
 */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program
      .command("remove")
      .description("take a node out of the cluster")
      .argument("<node>", "its name, as servers shows it"),
  ).action((node: string, flags: ConnectFlags) => runCommand("remove", () => remove(node, flags), "write"));
}

async function remove(id: string, flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  await client.cluster.removeNode({ id }, { timeoutMs: 15_000 });
  await print(jsonLine({ removed: id }));
}
