/** `tailrace keygen`: creates a gossip key for --encrypt, in the format of `serf keygen`. */
import type { Command } from "commander";
import { print } from "../../output/standard-output.ts";

export function register(program: Command): void {
  program
    .command("keygen")
    .description("create a gossip key for --encrypt, the same on every node")
    .option("--json", "JSON on standard output")
    .action(async ({ json }: { readonly json?: boolean }) => {
      const { generateKey } = await import("../../../membership/mod.ts");
      const key = generateKey();
      await print(json ? `${JSON.stringify({ key })}\n` : `${key}\n`);
    });
}
