/** `tailrace event NAME [PAYLOAD]`: sends a user event to all members, `serf` agents included. It does not wait for delivery. */
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
    .argument("<name>", "the name of the event")
    .argument("[payload]", "the payload; name and payload have at most 512 bytes", "")
    .option("--coalesce", "allow receivers to keep only the newest event of this name")
    .action((name: string, payload: string, flags: EventFlags) =>
      runCommand("event", () => event(name, payload, flags), "write"),
    );
}

async function event(name: string, text: string, flags: EventFlags): Promise<undefined> {
  const payload = Buffer.from(text);
  using client = await connect(flags);
  await client.rpc.cluster.event({ name, payload, coalesce: flags.coalesce ?? false });
  if (flags.json) await print(jsonLine({ name, payload_bytes: payload.length }));
  else console.error(`event ${JSON.stringify(name)} was sent`);
}
