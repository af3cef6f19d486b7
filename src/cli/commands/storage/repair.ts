/**
 * `tailrace repair DIR`: says what it would cut from a damaged data directory; with `--yes` it does, and keeps what
 * it cut beside as `*.cut`.
 *
 * One of three members or more comes out of it as a stranger with most of the log: the others count on what was cut.
 * Started again as before it is taken in as a learner, gets what is missing from the leader, and is a voter then. One of
 * two keeps its place, in a new term: a leader who counts on what was cut has to be elected anew.
 *
 * Never: lets a node vote on that has forgotten what it acknowledged, unless it is told that the others are lost.
 */
import type { Command } from "commander";
import { exitStatus } from "../../exit-status.ts";
import { runCommand } from "../../run-command.ts";

const asStranger = `The directory gets another identity, for others may count on what it had promised. Started with the flags it had,
the node waits until its cluster's leader takes it in again and brings what is missing.
`;

interface Options {
  readonly yes?: true;
  readonly keepIdentity?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command("repair")
    .description("say what a repair of a damaged data directory would cut; --yes cuts")
    .argument("<directory>", "data directory")
    .option("--yes", "do it, and keep what is cut as *.cut")
    .option("--keep-identity", "of a member whose others are lost for good: before recover --force-config")
    .option("--json", "one JSON object instead of lines")
    .action(async (directory: string, options: Options) => {
      await runCommand("repair", async () => {
        const { openPlace } = await import("../../storage/data-directory.ts");
        const { randomBytes } = await import("node:crypto");
        const { repairLog } = await import("../../../log/mod.ts");
        const { isCountedOn, isDisowned, newLifeChanges, peerIdOf, newIdentityChanges } = await import(
          "../../../replication/mod.ts"
        );
        const yes = options.yes === true;
        await using opened = await openPlace(directory, !yes);
        const { store } = opened.place;
        const identity = {
          directoryId: randomBytes(16),
          needed: (current: Uint8Array) => isCountedOn(store, peerIdOf(current)),
          changes: newIdentityChanges(store),
        };
        const { actions, next, lost } = repairLog(opened.place, yes, {
          ...(options.keepIdentity === true ? {} : { identity }),
          refused: isDisowned(store),
          unchanged: newLifeChanges(store),
        });
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
        if (actions.some(({ action }) => action === "new-identity")) process.stderr.write(asStranger);
        if (actions.length > 0 && !yes) process.stderr.write("nothing was changed; --yes does it\n");
        return exitStatus.done;
      });
    });
}
