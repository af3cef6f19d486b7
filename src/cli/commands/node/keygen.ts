/**
 * `tailrace keygen`: a new gossip key for --encrypt, as `serf keygen` makes them.
 *
 * Never: keeps it, asks a node.
 */
import type { Command } from "commander";
import { print } from "../../output/standard-output.ts";

export function register(program: Command): void {
  program
    .command("keygen")
    .description("make a gossip key, for --encrypt on every node")
    .option("--json", "JSON on standard output")
    .action(async ({ json }: { readonly json?: boolean }) => {
      const { generateKey } = await import("../../../membership/mod.ts");
      const key = generateKey();
      await print(json ? `${JSON.stringify({ key })}\n` : `${key}\n`);
    });
}
