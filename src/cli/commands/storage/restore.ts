/**
 * `tailrace restore BACKUP --data-dir D`: makes a data directory of a backup, offline. Started alone it is a cluster of
 * one with these records; started with a join list it takes the rest from the leader of the same cluster.
 *
 * Never: restores into a directory that holds anything.
 */
import { type Command, Option } from "commander";
import { exitStatus } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";

interface Flags {
  readonly dataDir: string;
  readonly newCluster?: true;
}

export function register(program: Command): void {
  program
    .command("restore")
    .description("make a data directory of a backup")
    .argument("<backup>", "the directory that tailrace backup wrote")
    .requiredOption("--data-dir <directory>", "an empty or missing one")
    .addOption(new Option("--new-cluster", "begin a cluster with an id of its own"))
    .action((backup: string, flags: Flags) => runCommand("restore", () => restore(backup, flags)));
}

async function restore(backup: string, { dataDir, newCluster }: Flags): Promise<number> {
  const { existsSync, readdirSync, rmSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { Fault } = await import("../../../fault.ts");
  const { restoreFrames, StableState } = await import("../../../replication/mod.ts");
  const { BackupDirectory } = await import("../../storage/backup-directory.ts");
  const { systemDisk } = await import("../../../lib/disk/system-disk.ts");
  const { openOffline } = await import("../../storage/offline-log.ts");
  const source = BackupDirectory.open(backup);
  const snapshot = source.snapshot();
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
    throw new Fault("foreign-directory", { message: `${dataDir} is not empty` });
  }
  const isNew = !existsSync(dataDir);
  systemDisk.makeDirectory(join(dataDir, "meta"));
  let next: number;
  try {
    await using opened = await openOffline(dataDir);
    restoreFrames(opened.log, snapshot, (...asked) => source.read(...asked));
    if (newCluster !== true) new StableState(opened.store).saveRestoredFrom(snapshot.clusterId);
    next = opened.log.bounds.next;
  } catch (reason) {
    for (const name of readdirSync(dataDir)) rmSync(join(dataDir, name), { recursive: true });
    if (isNew) rmSync(dataDir, { recursive: true });
    throw reason;
  }
  await print(`${JSON.stringify({ directory: dataDir, index: snapshot.index, next })}\n`);
  return exitStatus.done;
}
