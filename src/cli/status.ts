/**
 * `tailrace status`: is the node ready? Exit 0 when it is, 1 when not; fit for a container's health check.
 *
 * Never: waits for it to become ready.
 */
import type { Command } from "commander";
import { StatusResponseSchema } from "../gen/log/v1/log_pb.js";
import { type ConnectFlags, connect, connectOptions } from "./connect.ts";
import { exitStatus, print, run } from "./exit.ts";
import { plain } from "./plain.ts";

export function register(program: Command): void {
  connectOptions(program.command("status").description("is the node ready? (exit 0 yes, 1 no)")).action(
    (flags: ConnectFlags) => run("status", () => status(flags)),
  );
}

async function status(flags: ConnectFlags): Promise<number> {
  using client = await connect(flags);
  const found = await client.cluster.status({}, { timeoutMs: 5_000 });
  await print(`${JSON.stringify(plain(StatusResponseSchema, found))}\n`);
  for (const reason of found.reasons) console.error(`not ready: ${reason}`);
  return found.ready ? exitStatus.done : exitStatus.failed;
}
