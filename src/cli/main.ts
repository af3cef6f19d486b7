/**
 * The command line: finds the command and runs it. Exit statuses are in exit.ts, commands in commands.ts.
 *
 * Never: knows what a command does.
 */
import type { Command } from "commander";
import { version } from "../agent/version.ts";
import { commandFiles } from "./commands.ts";
import { exitStatus } from "./exit.ts";

/** Runs `tailrace ARGUMENTS`; the exit status is left in process.exitCode. */
export async function main(args: readonly string[]): Promise<void> {
  const [first, ...flags] = args;
  // A node reads its own flags: it starts without what finds commands.
  if (first === "serve") return (await import("./serve.ts")).serve(flags);
  const { Command, CommanderError } = await import("commander");
  const program = new Command("tailrace")
    .description("a distributed, durable, append-only commit log: curl, the browser and gRPC on one port")
    .version(version, "--version", "print the version")
    .exitOverride()
    .showHelpAfterError("(tailrace --help)")
    .configureHelp({ sortSubcommands: false });
  const named = commandFiles[args[0] ?? ""];
  for (const load of named === undefined ? Object.values(commandFiles) : [named])
    (await load()).register(program);
  for (const command of program.commands) overrideExit(command);
  try {
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync([...args], { from: "user" });
  } catch (reason) {
    if (!(reason instanceof CommanderError)) throw reason;
    process.exitCode = reason.exitCode === 0 ? exitStatus.done : exitStatus.usage;
  }
}

/** A wrong use of a command is thrown to us, like one of the program's. */
function overrideExit(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) overrideExit(inner);
}
