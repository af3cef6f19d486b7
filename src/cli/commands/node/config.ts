/**
 * `tailrace config print [FLAGS]`: the settings a node started so would have, and where each comes from. What it
 * prints is a file for --config-file.
 *
 * Never: prints a secret, starts anything.
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { Fault } from "../../../fault.ts";
import { exitStatus } from "../../exit-status.ts";
import { faultLine } from "../../output/fault-line.ts";

export function register(program: Command): void {
  program
    .command("config")
    .description("a node's settings")
    .command("print")
    .description("print the settings that hold, and where each comes from")
    .allowUnknownOption()
    .allowExcessArguments()
    .argument("[flags...]", "as for tailrace serve")
    .action((_flags: unknown, _options: unknown, command: Command) => printSettings(command.args));
}

async function printSettings(flags: readonly string[]): Promise<void> {
  const { derivedSettings, machineMemory, printConfig, readConfig } = await import("../../../agent/mod.ts");
  try {
    const readFile = (path: string): string => readFileSync(path, "utf8");
    const found = readConfig({ flags, environment: process.env, readFile });
    process.stdout.write(printConfig(found, derivedSettings(machineMemory())));
  } catch (reason) {
    console.error(faultLine("config print", Fault.from(reason)));
    process.exitCode = exitStatus.usage;
  }
}
