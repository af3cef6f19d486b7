/** `tailrace leave`: removes the node at --addr from its cluster. It does not stop the node. */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(
    program.command("leave").description("remove the node at --addr from its cluster permanently"),
  ).action((flags: ConnectFlags) => runCommand("leave", () => leave(flags), "write"));
}

async function leave(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const { id } = await client.rpc.cluster.status({}, { timeoutMs: 5_000 });
  await client.rpc.cluster.removeNode({ id }, { timeoutMs: 30_000 });
  await print(jsonLine({ left: id }));
}
