/**
 * `tailrace restore BACKUP --data-dir D`: creates a data directory from a backup, offline. A node that starts with it alone
 * is a cluster of one with these records. A node that starts with a join list gets the later records from the leader of
 * the same cluster.
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
    .description("create a data directory from a backup")
    .argument("<backup>", "the directory that tailrace backup wrote")
    .requiredOption("--data-dir <directory>", "the data directory to create, missing or empty")
    .addOption(new Option("--new-cluster", "start a new cluster with a new id"))
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
    await restoreFrames(opened.log, snapshot, (...range) => source.read(...range));
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
