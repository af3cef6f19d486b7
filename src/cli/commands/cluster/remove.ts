/** `tailrace remove NODE`: removes a node from the cluster, unless the remaining nodes would have no quorum. */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program
      .command("remove")
      .description("remove a node from the cluster")
      .argument("<node>", "the name of the node, as `tailrace servers` prints it"),
  ).action((node: string, flags: ConnectFlags) => runCommand("remove", () => remove(node, flags), "write"));
}

async function remove(id: string, flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  await client.rpc.cluster.removeNode({ id }, { timeoutMs: 15_000 });
  await print(jsonLine({ removed: id }));
}
