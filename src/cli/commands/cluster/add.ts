/** `tailrace add HOST:PORT`: adds a node to the cluster as a learner, which becomes a voter later. It does not wait for that. */
import { type Command, Option } from "commander";
import { isHostPort } from "../../../lib/host-port.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { argumentFault } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags {
  readonly id?: string;
}

export function register(program: Command): void {
  connectOptions(
    program
      .command("add")
      .description("add a node to the cluster, first as a learner")
      .argument("<host:port>", "the address of the node")
      .addOption(new Option("--id <name>", "the expected name of the node (default: any)")),
  ).action((addr: string, flags: Flags) => runCommand("add", () => add(addr, flags), "write"));
}

async function add(addr: string, { id = "", ...flags }: Flags): Promise<undefined> {
  if (!isHostPort(addr)) throw argumentFault("the address must be HOST:PORT, such as 127.0.0.1:8080", addr);
  using client = await connect(flags);
  await client.rpc.cluster.addNode({ id, addr }, { timeoutMs: 15_000 });
  await print(jsonLine({ added: addr }));
}
