/**
 * `tailrace repair DIR`: reports what a repair would cut from a damaged data directory. With `--yes` it cuts, and keeps what
 * it cut as `*.cut`.
 *
 * A member of three or more nodes gets a new identity, because the others may rely on entries that were cut. Started with
 * the same flags, it joins as a learner, gets the missing entries from the leader and becomes a voter. A member of two
 * nodes keeps its identity in a new term: a leader that relies on the cut entries must be elected again.
 *
 * A node that has lost acknowledged entries must not vote with its old identity, except with --keep-identity.
 */
import type { Command } from "commander";
import { exitStatus } from "../../exit-status.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

const newIdentityText = `The directory gets a new identity, because other nodes may rely on the entries that were cut. Start the node with
the same flags: it joins its cluster again and gets the missing entries from the leader.
`;

/** Named logs that are listed with what they lose. */
const logsMax = 20;

interface Options {
  readonly yes?: true;
  readonly keepIdentity?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command("repair")
    .description("print what a repair of a damaged data directory would cut; cut it with --yes")
    .argument("<directory>", "the data directory")
    .option("-y, --yes", "make the repair, and keep what is cut as *.cut")
    .option(
      "--keep-identity",
      "keep the identity; only if the other members are lost, before recover --force-config",
    )
    .option("--json", "JSON on standard output")
    .action(async (directory: string, options: Options) => {
      await runCommand("repair", async () => {
        const { openDataDirectory } = await import("../../storage/data-directory.ts");
        const { randomBytes } = await import("node:crypto");
        const { repairLog } = await import("../../../log/mod.ts");
        const { isCountedOn, isDisowned, newLifeChanges, peerIdOf, newIdentityChanges } = await import(
          "../../../replication/mod.ts"
        );
        const yes = options.yes === true;
        await using opened = await openDataDirectory(directory, !yes);
        const { store } = opened.logDirectory;
        const identity = {
          directoryId: randomBytes(16),
          needed: (current: Uint8Array) => isCountedOn(store, peerIdOf(current)),
          changes: newIdentityChanges(store),
        };
        const { actions, next, lost, lostLogs, moreLostLogs } = repairLog(opened.logDirectory, yes, {
          ...(options.keepIdentity === true ? {} : { identity }),
          refused: isDisowned(store),
          unchanged: newLifeChanges(store),
        });
        const more = moreLostLogs + Math.max(0, lostLogs.length - logsMax);
        if (options.json) {
          const named = { lostLogs: lostLogs.slice(0, logsMax), moreLostLogs: more };
          process.stdout.write(jsonLine({ done: yes && actions.length > 0, actions, next, lost, ...named }));
          return;
        }
        for (const { action, file, position, bytes } of actions) {
          process.stdout.write(`${file} ${position} ${action} bytes=${bytes}\n`);
        }
        if (actions.length === 0) process.stdout.write(`ok nothing to repair next=${next}\n`);
        else process.stdout.write(`${yes ? "repaired" : "would repair"} next=${next} lost=${lost}\n`);
        for (const { id, name = "?", records, isGone } of lostLogs.slice(0, logsMax))
          process.stdout.write(
            `log ${printable(name)} number=${id} lost=${records}${isGone ? " and the log itself" : ""}\n`,
          );
        if (more > 0) process.stdout.write(`${more} more logs lose records\n`);
        if (actions.some(({ action }) => action === "new-identity")) process.stderr.write(newIdentityText);
        if (actions.length > 0 && !yes) process.stderr.write("nothing was changed; --yes makes the repair\n");
        return exitStatus.done;
      });
    });
}
