/**
 * `tailrace restore BACKUP --data-dir D`: creates a data directory from a backup, offline. A node that starts with it alone
 * is a cluster of one with these records. A node that starts with a join list gets the later records from the leader of
 * the same cluster. A directory whose restore did not complete is refused by every other command, and by nodes; another
 * restore empties it and begins again.
 */
import { type Command, Option } from "commander";
import { exitStatus, usageFault } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";
import { type BucketFlags, bucketOptions, openBucket } from "../../s3-flags.ts";
import { collectInOneStep } from "../../storage/one-step-collection.ts";

interface Flags extends BucketFlags {
  readonly dataDir: string;
  readonly newCluster?: true;
  readonly backup?: string;
}

export function register(program: Command): void {
  const command = program
    .command("restore")
    .description("create a data directory from a backup")
    .argument("<backup>", "the directory that tailrace backup wrote, s3://BUCKET/PREFIX or file:///DIRECTORY")
    .requiredOption("--data-dir <directory>", "the data directory to create, missing or empty")
    .option(
      "--backup <name>",
      "in a bucket: this backup; tailrace backups lists the names (default: the newest)",
    )
    .addOption(new Option("--new-cluster", "start a new cluster with a new id"));
  bucketOptions(command, false).action((backup: string, flags: Flags) =>
    runCommand("restore", () => restore(backup, flags)),
  );
}

async function restore(place: string, flags: Flags): Promise<number> {
  collectInOneStep();
  const { isStoreUrl } = await import("../../../objects/open-store.ts");
  const { restoreDirectory } = await import("../../../backup/mod.ts");
  const { dataDir: directory } = flags;
  const newCluster = flags.newCluster === true;
  if (isStoreUrl(place)) {
    const { chooseBackup, FetchedFiles } = await import("../../../backup/mod.ts");
    const store = await openBucket("restore", place, flags);
    const { name, snapshot } = await chooseBackup(store, flags.backup);
    const open = (scratch: string) => new FetchedFiles(store, snapshot, scratch);
    const next = await restoreDirectory({ snapshot, open, directory, newCluster });
    await print(`${JSON.stringify({ directory, backup: name, index: snapshot.index, next })}\n`);
    return exitStatus.done;
  }
  if (flags.backup !== undefined)
    throw usageFault("--backup is for s3://… and file://…: a directory has one backup");
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  const source = BackupDirectory.open(place);
  const snapshot = source.snapshot();
  const next = await restoreDirectory({ snapshot, open: () => source, directory, newCluster });
  await print(`${JSON.stringify({ directory, index: snapshot.index, next })}\n`);
  return exitStatus.done;
}
