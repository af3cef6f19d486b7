/**
 * `tailrace repair DIR`: says what it would cut from a damaged data directory; with `--yes` it does, and keeps what
 * it cut beside as `*.cut`.
 */
import type { Command } from "commander";
import { exitStatus, run } from "./exit.ts";

export function register(program: Command): void {
  program
    .command("repair")
    .description("say what a repair of a damaged data directory would cut; --yes cuts")
    .argument("<directory>", "data directory")
    .option("--yes", "do it, and keep what is cut as *.cut")
    .option("--json", "one JSON object instead of lines")
    .action(async (directory: string, options: { readonly yes?: true; readonly json?: true }) => {
      await run("repair", async () => {
        const { openPlace } = await import("./data-directory.ts");
        const { repairLog } = await import("../log/mod.ts");
        const yes = options.yes === true;
        await using opened = await openPlace(directory, !yes);
        const { actions, next, lost } = repairLog(opened.place, yes);
        if (options.json) {
          process.stdout.write(
            `${JSON.stringify({ done: yes && actions.length > 0, actions, next, lost })}\n`,
          );
          return;
        }
        for (const { action, file, position, bytes } of actions) {
          process.stdout.write(`${file} ${position} ${action} bytes=${bytes}\n`);
        }
        if (actions.length === 0) process.stdout.write(`ok nothing to repair next=${next}\n`);
        else process.stdout.write(`${yes ? "repaired" : "would repair"} next=${next} lost=${lost}\n`);
        if (actions.length > 0 && !yes) process.stderr.write("nothing was changed; --yes does it\n");
        return exitStatus.done;
      });
    });
}
