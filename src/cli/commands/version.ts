/** `tailrace version`: the version of this program and of the Node that runs it. */
import type { Command } from "commander";
import { version } from "../../agent/version.ts";
import { print } from "../output/standard-output.ts";

interface Flags {
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command("version")
    .description("print the version")
    .option("--json", "one JSON object, with the version of Node")
    .action(({ json }: Flags) =>
      print(json ? `${JSON.stringify({ version, node: process.version })}\n` : `${version}\n`),
    );
}
