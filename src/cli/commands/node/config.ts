/**
 * `tailrace config print [FLAGS]`: the effective settings of a node with these flags, and the source of each. The output is
 * a valid file for --config-file. Secrets are not printed.
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { Fault } from "../../../fault.ts";
import { exitStatus } from "../../exit-status.ts";
import { faultLine } from "../../output/fault-line.ts";

export function register(program: Command): void {
  program
    .command("config")
    .description("the settings of a node")
    .command("print")
    .description("print the effective settings and the source of each")
    .allowUnknownOption()
    .allowExcessArguments()
    .argument("[flags...]", "the flags of tailrace serve")
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
