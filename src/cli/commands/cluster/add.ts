/**
 * `tailrace add HOST:PORT`: takes the node there into the cluster, as a learner that becomes a voter by itself.
 *
 * Never: waits until it is a voter (see servers).
 */
import { type Command, Option } from "commander";
import { isHostPort } from "../../../lib/host-port.ts";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { usageFault } from "../../exit-status.ts";
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
      .description("take a node into the cluster, first as a learner")
      .argument("<host:port>", "where it serves")
      .addOption(new Option("--id <name>", "the name that it must have")),
  ).action((addr: string, flags: Flags) => runCommand("add", () => add(addr, flags), "write"));
}

async function add(addr: string, { id = "", ...flags }: Flags): Promise<undefined> {
  if (!isHostPort(addr)) throw usageFault(`expected HOST:PORT, such as 127.0.0.1:8080, found "${addr}"`);
  using client = await connect(flags);
  await client.cluster.addNode({ id, addr }, { timeoutMs: 15_000 });
  await print(jsonLine({ added: addr }));
}
