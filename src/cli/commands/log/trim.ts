/** `tailrace trim --before N`: deletes the records below offset N. */
import type { Command } from "commander";
import { type ConnectFlags, connect, connectOptions } from "../../connect.ts";
import { argumentFault, exitStatus } from "../../exit-status.ts";
import { type LogFlag, logOf, logOption } from "../../log-names.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags, LogFlag {
  readonly before: string;
}

export function register(program: Command): void {
  const command = program
    .command("trim")
    .description("delete the records below an offset")
    .requiredOption("--before <offset>", "the first offset to keep");
  connectOptions(logOption(command)).action((flags: Flags) => runCommand("trim", () => trim(flags), "write"));
}

async function trim(flags: Flags): Promise<number> {
  const before = /^\d+$/.test(flags.before) ? Number(flags.before) : Number.NaN;
  if (!Number.isSafeInteger(before)) throw argumentFault("--before must be an offset", flags.before);
  const name = logOf(flags);
  using client = await connect(flags);
  // A node of a version without named logs does not know the field, and would trim `default`. It has no ids.
  const log = await client.log(name).pinned();
  const { lowestOffset } = await client.rpc.log.trim({ ...log, beforeOffset: BigInt(before) });
  await print(`{"lowest_offset":${lowestOffset}}\n`);
  return exitStatus.done;
}
