/** `tailrace backups URL`: lists the backups in a bucket, the newest first. */
import type { Command } from "commander";
import { argumentFault, exitStatus } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { runCommand } from "../../run-command.ts";
import { type BucketFlags, bucketOptions, openBucket } from "../../s3-flags.ts";

export function register(program: Command): void {
  const command = program
    .command("backups")
    .description("list the backups in a bucket, the newest first, one JSON object for each")
    .argument("<url>", "s3://BUCKET/PREFIX or file:///DIRECTORY");
  bucketOptions(command, false).action((url: string, flags: BucketFlags) =>
    runCommand("backups", () => backups(url, flags)),
  );
}

async function backups(url: string, flags: BucketFlags): Promise<number> {
  const { isStoreUrl } = await import("../../../objects/open-store.ts");
  if (!isStoreUrl(url)) throw argumentFault("the URL must be s3://BUCKET/PREFIX or file:///DIRECTORY", url);
  const { listBackups, readBackup } = await import("../../../backup/mod.ts");
  const { backupFiles } = await import("../../../replication/mod.ts");
  const { printable } = await import("../../output/terminal.ts");
  const store = await openBucket("backups", url, flags);
  let found = 0;
  for (const { name, ageMs } of await listBackups(store)) {
    const snapshot = await readBackup(store, name);
    // It was deleted meanwhile.
    if (snapshot === undefined) continue;
    found++;
    const files = backupFiles(snapshot);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    const { index, clusterId: cluster } = snapshot;
    const ageSeconds = Math.round(ageMs / 1000);
    await print(
      `${JSON.stringify({ backup: name, ageSeconds, index, files: files.length, bytes, cluster })}\n`,
    );
  }
  if (found === 0) console.error(`tailrace backups: there is no backup in ${printable(url)}`);
  return exitStatus.done;
}
