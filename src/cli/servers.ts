/**
 * `tailrace servers`: the nodes of the cluster, as the node asked knows them.
 *
 * Never: asks another node.
 */
import type { Command } from "commander";
import { ServerSchema } from "../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "./connect.ts";
import { print, run } from "./exit.ts";
import { plain } from "./plain.ts";
import { table } from "./table.ts";

export function register(program: Command): void {
  connectOptions(program.command("servers").description("the nodes of the cluster")).action(
    (flags: ConnectFlags) => run("servers", () => servers(flags)),
  );
}

async function servers(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const found = await client.log.getServers({});
  if (flags.json) {
    for (const server of found.servers) await print(`${JSON.stringify(plain(ServerSchema, server))}\n`);
    return;
  }
  const rows = found.servers.map((server) => [
    server.id,
    server.rpcAddr,
    server.role,
    Number(server.term),
    Number(server.lastOffset),
    Number(server.lag),
  ]);
  await print(table(["id", "address", "role", "term", "last offset", "lag"], rows));
}
