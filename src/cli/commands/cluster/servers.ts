/** `tailrace servers`: the nodes of the cluster, as one node knows them. */
import type { Command } from "commander";
import { quorumAdvice } from "../../../api/quorum-advice.ts";
import { type Server, ServerSchema } from "../../../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { table } from "../../output/table.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { toPlainJson } from "../../output/to-plain-json.ts";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  connectOptions(program.command("servers").description("list the nodes of the cluster")).action(
    (flags: ConnectFlags) => runCommand("servers", () => servers(flags)),
  );
}

async function servers(flags: ConnectFlags): Promise<undefined> {
  using client = await connect(flags);
  const found = await client.rpc.log.getServers({});
  if (flags.json) {
    for (const server of found.servers) await print(jsonLine(toPlainJson(ServerSchema, server)));
    return;
  }
  const isAllWell = found.servers.every(({ healthy }) => healthy);
  const status = isAllWell ? undefined : await client.rpc.cluster.status({});
  const rows = found.servers.map((server) => [
    server.id,
    server.rpcAddr,
    server.role,
    healthText(server, server.id === status?.id),
    Number(server.term),
    Number(server.lastOffset),
    Number(server.lag),
  ]);
  await print(table(["id", "address", "role", "health", "term", "last offset", "lag"], rows));
  const isOwnWell = found.servers.every(({ id, healthy }) => healthy || id !== status?.id);
  if (isOwnWell && quorumAdvice(found.servers) === undefined) return;
  // The node knows more than the numbers: it may have been removed, or other members may be reachable and reject it.
  for (const reason of status?.reasons ?? []) console.error(printable(reason));
}

/** The value for a node that has never responded. */
const neverMs = 2n ** 53n - 1n;

/** Returns `ok`, or how long the node has not responded. `isOwn`: it is the node that was asked, so it did respond. */
export function healthText(
  { healthy, lastContactMs }: Pick<Server, "healthy" | "lastContactMs">,
  isOwn: boolean,
): string {
  if (healthy) return "ok";
  if (isOwn) return "not ready";
  if (lastContactMs === 0n || lastContactMs >= neverMs) return "no answer";
  return `no answer for ${(Number(lastContactMs) / 1_000).toFixed(1)} s`;
}
