/**
 * `tailrace leave`: the node at --addr gives up its place in the cluster, and can be stopped for good then.
 *
 * Never: stops it.
 */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program.command("leave").description("the node at --addr leaves its cluster forever"),
  ).action((flags: ConnectFlags) => runCommand("leave", () => leave(flags), "write"));
}

async function leave(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const { id } = await client.cluster.status({}, { timeoutMs: 5_000 });
  await client.cluster.removeNode({ id }, { timeoutMs: 30_000 });
  await print(jsonLine({ left: id }));
}
