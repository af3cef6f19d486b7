/**
 * `tailrace event NAME [PAYLOAD]`: a user event to all members, `serf` agents among them.
 *
 * Never: waits until it has arrived; gossip spreads it.
 */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

interface EventFlags extends ConnectFlags {
  readonly coalesce?: boolean;
}

export function register(program: Command): void {
  connectOptions(program.command("event").description("send a user event to all members"))
    .argument("<name>", "what it is about")
    .argument("[payload]", "at most 512 bytes, name included", "")
    .option("--coalesce", "receivers may keep only the newest of this name")
    .action((name: string, payload: string, flags: EventFlags) =>
      runCommand("event", () => event(name, payload, flags), "write"),
    );
}

async function event(name: string, text: string, flags: EventFlags): Promise<undefined> {
  const payload = Buffer.from(text);
  using client = await connect(flags);
  await client.cluster.event({ name, payload, coalesce: flags.coalesce ?? false });
  if (flags.json) await print(jsonLine({ name, payload_bytes: payload.length }));
  else console.error(`event ${JSON.stringify(name)} is on its way`);
}
